"""The line that all processes stand in for a call to Nylas, kept in Redis by a script."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from redis.asyncio import Redis

from worker.rate_limits import RateLimit

# The whole line of one API group is one value. All times are microseconds of the server's own clock, so that the clocks
# of the processes don't matter. `tat` is when the next call would come if all came evenly spaced (GCRA, the generic
# cell rate algorithm, ITU-T I.371), `log` holds when the calls of the last window went, `line` the processes that were
# told to ask again, `seen` when each process asked last, `streak` how many calls with somebody waiting went in a row
# while bulk was in the line, `joint` when processes that kept apart may come back together. `wider` is by which part a
# window is longer than usual: each second with a push-back adds 1 %, up to 10, and each minute takes 1 % away.
#
# A value that is not there may have been lost with the calls that went a moment ago; one from the future was left by a
# clock that was put back. Either way a new line begins: nobody goes for 100 ms, in which the processes that are at work
# tell what they remember, and nothing is left to catch up.
OPENING = """
local SECOND = 1000000
local clock = redis.call('TIME')
local now = clock[1] * SECOND + clock[2]
local tolerance = tonumber(ARGV[2])
local kept = redis.call('GET', KEYS[1])
local state = kept and cmsgpack.unpack(kept)
if not state or state.saved > now + SECOND then
  state = {name = string.format('%.0f', now), tat = now + 0.1 * SECOND + tolerance, streak = 0, joint = 0,
           wider = 0, widened = 0, log = {}, line = {}, seen = {}}
end
local function wider()
  return math.max(0, state.wider - 0.01 * (now - state.widened) / (60 * SECOND))
end
local function save()
  state.saved = now
  redis.call('SET', KEYS[1], cmsgpack.pack(state), 'PX', 86400000 + math.ceil(math.max(0, state.tat - now) / 1000))
end
"""

# Answers {verdict, microseconds to wait or when the call was let go, processes at work, the line's name}.
ASK = (
    OPENING
    + """
local interval, calls, window = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4]) * (1 + wider())
local process, kind, known, returning = ARGV[5], ARGV[6], ARGV[7], ARGV[8] == '1'
local me = kind .. process

local function answer(verdict, number)
  save()
  local processes = 0
  for _ in pairs(state.seen) do processes = processes + 1 end
  return {verdict, string.format('%.0f', math.ceil(number)), processes, state.name}
end

state.seen[process] = now
if known ~= '' and known ~= state.name then return answer('tell', 0) end

-- What the process did that the line could not know of, and which of its calls went later than they were let go.
local log, late = {}, {}
for place = 9, #ARGV, 2 do
  local at, micros = tonumber(ARGV[place]), tonumber(ARGV[place + 1])
  if at then late[at] = at + micros else table.insert(state.log, now - micros) end
end
for place, at in ipairs(state.log) do state.log[place] = late[at] or at end
table.sort(state.log)
for _, went in ipairs(state.log) do
  if went > now - window then table.insert(log, went) end
end
state.log = log

for name, at in pairs(state.seen) do
  if at < now - 60 * SECOND then state.seen[name] = nil end
end

-- Whoever comes back from its own clock finds others that have not noticed yet; all come back together.
if returning and state.joint + SECOND < now then
  state.joint = now + 3 * SECOND
  state.tat = math.max(state.tat, state.joint + interval + tolerance)
end
if now < state.joint then return answer('apart', state.joint - now) end

-- Who goes before us? Whoever was told to come by now and didn't has lost its place.
for name, entry in pairs(state.line) do
  if name ~= me and entry.gone < now then state.line[name] = nil end
end
local entry = state.line[me] or {since = now}
local ahead, others = 0, 0
for name, other in pairs(state.line) do
  if name ~= me then
    if string.sub(name, 1, 1) ~= kind then
      others = others + 1
    elseif other.since < entry.since or (other.since == entry.since and name < me) then
      ahead = ahead + 1
    end
  end
end
local bulks_turn = state.streak >= 9
if kind == 'b' then
  if not (bulks_turn and ahead == 0) then ahead = ahead + others end
elseif bulks_turn and others > 0 then
  ahead = ahead + 1
end

local due = state.tat - tolerance
if #log >= calls then due = math.max(due, log[#log - calls + 1] + window) end
if ahead == 0 and now >= due then
  state.tat = math.max(state.tat, now) + interval
  table.insert(log, now)
  state.line[me] = nil
  if kind == 'b' then
    state.streak = 0
  elseif others > 0 then
    state.streak = state.streak + 1
  end
  return answer('go', now)
end
local wait = math.max(due - now, 0) + ahead * math.max(interval, 5000)
entry.gone = now + wait + 30000
state.line[me] = entry
return answer('wait', wait)
"""
)

HOLD = (
    OPENING
    + """
state.tat = math.max(state.tat, now + tonumber(ARGV[1]) + tolerance)
if now > state.widened + SECOND then
  state.wider, state.widened = math.min(0.1, wider() + 0.01), now
end
save()
"""
)

Verdict = Literal["go", "wait", "tell", "apart"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the line says: go; wait so many seconds and ask again; tell what you remember; or keep apart meanwhile.

    `let_go` is the time of a call that may go, in microseconds of Redis' clock. `processes` are at work in this group;
    `line` names this one, which another one may replace.
    """

    verdict: Verdict
    wait: float
    let_go: int
    processes: int
    line: str


class SharedLine:
    """One process' place in the lines of one application, a line for each API group.

    Nothing is ever reserved: a call goes the moment it is let go, so a process that dies or sleeps takes no slot with
    it. Each process stands in a line twice at most, once for bulk and once for whoever has somebody waiting.
    Raises what Redis raises.
    """

    def __init__(self, redis: Redis, application: str) -> None:
        """`application` is Nylas' client id."""
        self._application = application
        self._process = secrets.token_hex(6)
        self._asking = redis.register_script(ASK)
        self._holding = redis.register_script(HOLD)

    async def ask(
        self,
        group: str,
        limit: RateLimit,
        *,
        bulk: bool,
        known: str,
        returning: bool,
        news: Sequence[tuple[int | None, float]],
    ) -> Answer:
        """Ask to go.

        `news` are calls that went so many seconds later than this line believes (its microseconds), or, with None, so
        many seconds ago and unknown to it. `known` is the line that we knew, or nothing; `returning` says that we
        lately went by a clock of our own.
        """
        sizes = (_micros(limit.interval), _micros(limit.tolerance), limit.calls, _micros(limit.window))
        whose = (self._process, "b" if bulk else "s", known, int(returning))
        told = [part for at, seconds in news for part in ("" if at is None else at, _micros(seconds))]
        answer = await self._asking(keys=[self._key(group)], args=[*sizes, *whose, *told])
        verdict, number, processes, name = cast(tuple[bytes | str, bytes | str, int, bytes | str], answer)
        if _text(verdict) == "go":
            return Answer("go", 0.0, int(number), processes, _text(name))
        return Answer(cast(Verdict, _text(verdict)), int(number) / 1_000_000, 0, processes, _text(name))

    async def hold(self, group: str, limit: RateLimit, seconds: float) -> None:
        """Let nobody go before so many seconds are over, and fewer for a while after."""
        await self._holding(keys=[self._key(group)], args=[_micros(seconds), _micros(limit.tolerance)])

    def _key(self, group: str) -> str:
        return f"evergrant:budget:{self._application}:{group}"


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
