"""Looking at many grants: gathered over a process, and read from Nylas' list where that costs fewer calls."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import count

import structlog
from sqlalchemy import Integer, Select, bindparam, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import Grant
from nylas_api import Answer, GrantFilters, KeyRejected, NylasError, Transient, Unavailable
from tasks.counting import ALIVE, count_to
from tasks.looking import Look, Sight, look_at, seen
from tasks.ways import PAGE, Way, cheapest, costs

log = structlog.get_logger()

AT_ONCE, A_SECOND = 25, timedelta(seconds=1)  # so few looks go out at once, each by itself: half of what Nylas allows
PAGES_AT_ONCE = 4
GETS_AT_ONCE = 50
NEARLY_FULL = 180  # of a page: a few entries may be unreadable, and are left out of it
# Those who ask are gathered while more come: for half as long as a GET for each would take at Nylas' 50 a second.
WINDOW = 0.1
PATIENCE_EACH, LONGEST_PATIENCE = 0.01, 15.0
PAUSE = 0.5  # seconds in which nobody came end it; in a storm somebody comes every few milliseconds
LONGEST_WAIT = 120.0

Seen = Look | NylasError


@dataclass(slots=True, eq=False)
class Asked:
    """Somebody waits for a look at a grant; `order` is when they asked, among all that was asked."""

    order: int
    answer: "asyncio.Future[Seen]"

    def tell(self, answer: Seen) -> None:
        """Answer, unless they wait no more."""
        if not self.answer.done():
            self.answer.set_result(answer)


Askers = dict[str, list[Asked]]


class Observer:
    """Looks at grants for all tasks of a process. It remembers nothing but who waits.

    Few looks go out at once. When many are asked for, they are gathered for a moment and answered by a sweep, over
    Nylas' list where that takes fewer calls. What a page tells counts only for those who asked before the page was
    asked for; who came too late for it is answered by the next one. A list proves nothing gone: who is not on it is
    looked at by a GET.
    """

    def __init__(self, *, patience_each: float = PATIENCE_EACH) -> None:
        """Start with nobody waiting; so many seconds are waited for each look that is wanted, while more come."""
        self._patience_each = patience_each
        self._waiting: Askers = {}
        self._order = count()
        self._alone: deque[tuple[datetime, int]] = deque()
        self._places = asyncio.Semaphore(GETS_AT_ONCE)
        self._sweeping: asyncio.Task[None] | None = None
        self._getting: set[asyncio.Task[None]] = set()

    async def look(self, ctx: Sight, grant_ids: Iterable[str]) -> dict[str, Seen]:
        """Look at these grants. Those that Nylas was not asked about within two minutes are Unavailable."""
        wanted = sorted(set(grant_ids))
        if self._may_go_alone(len(wanted), ctx.now()):
            return dict(zip(wanted, await asyncio.gather(*(look_at(ctx, one) for one in wanted)), strict=True))
        loop = asyncio.get_running_loop()
        asked = [Asked(next(self._order), loop.create_future()) for _ in wanted]
        for grant_id, ask in zip(wanted, asked, strict=True):
            self._waiting.setdefault(grant_id, []).append(ask)
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep_while_asked(ctx))
        end = loop.call_later(LONGEST_WAIT, _give_up, asked)
        try:
            return dict(zip(wanted, await asyncio.gather(*(ask.answer for ask in asked)), strict=True))
        finally:
            end.cancel()

    def _may_go_alone(self, wanted: int, now: datetime) -> bool:
        """Few may go at once, and no more of them in any second: then a storm has come, and who waits saves calls."""
        while self._alone and self._alone[0][0] <= now - A_SECOND:
            self._alone.popleft()
        if sum(looks for _, looks in self._alone) + wanted > AT_ONCE:
            return False
        self._alone.append((now, wanted))
        return True

    async def _sweep_while_asked(self, ctx: Sight) -> None:
        while self._waiting:
            await self._gather()
            members, self._waiting = self._waiting, {}
            try:
                await self._sweep(ctx, members)
            except Exception as error:
                _fail(members, error)

    async def _gather(self) -> None:
        """Wait while more come; a pause in which nobody came ends it, or that enough was waited for those who wait."""
        clock = asyncio.get_running_loop().time
        began, before = clock(), 0
        while before < (pending := len(self._waiting)):
            patience = min(LONGEST_PATIENCE, WINDOW + self._patience_each * pending)
            if clock() - began > patience:
                return
            before = pending
            await asyncio.sleep(min(patience / 4, PAUSE))

    async def _sweep(self, ctx: Sight, members: Askers) -> None:
        """Answer all members, by lists and at last by GETs; the GETs go on while the next ones are gathered."""
        calls = costs(len(members), *await _holdings(ctx, len(members)))
        while members and (way := cheapest(calls)) is not Way.EACH:
            log.info("observing.list", way=way.value, grants=len(members), calls=calls[way])
            failure = await self._read_list(ctx, way, members, calls[way])
            if isinstance(failure, Transient | KeyRejected):
                while members:
                    for ask in members.popitem()[1]:
                        ask.tell(failure)
            elif failure:
                log.warning("observing.no_list", told=str(failure), request_id=failure.request_id)
            if failure or way is Way.ALL:
                break
            calls = {Way.ALL: calls[Way.ALL], Way.EACH: len(members)}
        if members:
            self._getting.add(task := asyncio.create_task(self._get_each(ctx, members)))
            task.add_done_callback(self._getting.discard)

    async def _read_list(self, ctx: Sight, way: Way, members: Askers, expected: int) -> NylasError | None:
        """Read pages, until all members are answered or the list ends; a list of twice the length is given up.

        The first page comes alone, the others that are expected side by side, and what goes beyond one by one.
        """
        filters: GrantFilters = {"grant_status": "invalid"} if way is Way.INVALID else {}
        pages = count()
        ended: bool = False
        failure: NylasError | None = None

        async def read(many: int) -> None:
            nonlocal ended, failure
            for _ in range(many):
                if not members or ended:
                    return
                order = next(self._order)
                try:
                    told = await ctx.nylas.grants.list(limit=PAGE, offset=PAGE * next(pages), **filters)
                except NylasError as error:
                    ended, failure = True, error
                    return
                ended |= len(told.data) < NEARLY_FULL
                for grant in told.data:
                    if grant.is_valid is not None:
                        self._tell(members, seen(Answer(grant, told.request_id, told.asked_at)), order)

        await read(1)
        shares = [len(range(lane, expected - 1, PAGES_AT_ONCE)) for lane in range(PAGES_AT_ONCE)]
        await asyncio.gather(*(read(share) for share in shares))
        await read(expected)
        return failure

    def _tell(self, members: Askers, look: Look, order: int) -> None:
        """Answer the members, and those that came later but before this page was asked for."""
        for ask in members.pop(look.grant_id, ()):
            ask.tell(look)
        late = []
        for ask in self._waiting.pop(look.grant_id, ()):
            if ask.order < order:
                ask.tell(look)
            else:
                late.append(ask)
        if late:
            self._waiting[look.grant_id] = late

    async def _get_each(self, ctx: Sight, members: Askers) -> None:
        """Look at each member by a GET, in the order in which they were asked for."""

        async def get() -> None:
            while members:
                async with self._places:
                    grant_id = next(iter(members), None)
                    if grant_id is None:
                        return
                    asked = [ask for ask in members.pop(grant_id) if not ask.answer.done()]
                    try:
                        if asked:
                            look = await look_at(ctx, grant_id)
                            for ask in asked:
                                ask.tell(look)
                    except Exception as error:
                        _fail({grant_id: asked}, error)

        await asyncio.gather(*(get() for _ in range(min(GETS_AT_ONCE, len(members)))))


def _give_up(asked: Iterable[Asked]) -> None:
    for ask in asked:
        ask.tell(Unavailable("too many grants wait to be looked at before this one"))


def _fail(members: Askers, error: Exception) -> None:
    """Let all who wait have an error of our own, as if they had met it themselves."""
    for askers in members.values():
        for ask in askers:
            if not ask.answer.done():
                ask.answer.set_exception(error)
    members.clear()


async def _holdings(ctx: Sight, wanted: int) -> tuple[int, int]:
    """Count the grants that we hold, and those of them that are expired, as far as a list of them would be worth it."""
    async with ctx.database.reading() as session:
        given = {"application": ctx.application_id, "enough": wanted * PAGE + 1}
        held, expired = (await session.execute(_counted(), given)).one()
    return held, expired


@cache
def _counted() -> Select[int, int]:
    """Made once: see models.bulk."""
    enough, ours = bindparam("enough", type_=Integer()), col(Grant.application_id) == bindparam("application")
    return select(count_to(enough, ours, *ALIVE), count_to(enough, ours, GrantStatus.EXPIRED))
