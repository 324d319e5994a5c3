"""The promises, as questions to the books: each returns what breaks it, in words. None of them knows the product."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf

from storm.books import Books, Heard, NoticeRow, TransitionRow
from storm.renewing import extra_calls, impatient, unexplained

STATUS_AT_NYLAS = {"valid": "valid", "invalid": "expired"}
SET_ASIDE, DONE, SKIPPED, FINISHED = "set_aside", "done", "skipped", "finished"
TELLING = {"grant.valid": "valid", "grant.recovered": "valid", "grant.expired": "expired", "grant.deleted": "deleted"}
CLOCKS_APART = timedelta(seconds=0.1)
GROWS_AT_MOST = 1.05
CALM_WITHIN, TROUBLED_WITHIN = 0.05, 0.25
RECOVERS_WITHIN = {0.95: 5.0, 0.99: 15.0, 1.0: 30.0}


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise: its number, what it says, and what breaks it. One that is `timed` goes by the machine as well."""

    number: int
    says: str
    broken: Callable[[Books], Iterable[str]]
    timed: bool = False
    goes_by: Callable[[Books], object] = lambda _: True
    """What it goes by: where the books have nothing of that, it is not judged."""


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, ceil(round(share * len(ordered), 6)) - 1)] if ordered else 0.0


def webhooks(books: Books) -> Iterator[str]:
    """Each webhook that got 200 has one row, and is settled; poison is set aside with its reason."""
    rows = defaultdict(list)
    for row in books.events:
        if row.told is not None:
            rows[row.told].append(row)
        elif not row.settled:
            yield f"the event {row.id} ({row.kind}) was never settled: {row.reason}"
        elif row.outcome == SET_ASIDE:
            yield f"the event {row.id} ({row.kind}), which is our own, was set aside: {row.reason}"
    for sent in books.sent:
        found = rows.get(sent.id, [])
        if len(found) != 1:
            yield f"the webhook {sent.id} has {len(found)} rows"
        for row in found:
            if not row.settled:
                yield f"the webhook {sent.id} ({row.kind}) was never settled: {row.reason}"
            if sent.poison and not (row.outcome == SET_ASIDE and row.reason):
                yield f"the poison {sent.id} ended as {row.outcome}: {row.reason}"
            if not sent.poison and row.outcome not in (DONE, "ignored"):
                yield f"the webhook {sent.id} ({row.kind}) ended as {row.outcome}: {row.reason}"


def statuses(books: Books) -> Iterator[str]:
    """Each grant's final status is the truth at Nylas."""
    for grant_id, status in books.truth.grants.items():
        ours = books.grants.get(grant_id)
        if ours != STATUS_AT_NYLAS[status]:
            yield f"the grant {grant_id} is {status} at Nylas, and {ours} here"
    for grant_id, ours in books.grants.items():
        if grant_id not in books.truth.grants and ours != "deleted":
            yield f"the grant {grant_id} is gone at Nylas, and {ours} here"


def codes(books: Books) -> Iterator[str]:
    """No code is sent again after Nylas may have taken it; each sign-in has its end, and keeps no secret."""
    for code, ends in books.truth.code_ends.items():
        maybe_taken = [end for end in ends[:-1] if end is None or not 400 <= end < 500]
        if maybe_taken or sum(end == 200 for end in ends) > 1:
            yield f"a code ({code[:6]}…) was sent {len(ends)} times, with the answers {ends}"
    if len(books.sign_ins) < books.came_back:
        yield f"{books.came_back} users came back; {len(books.sign_ins)} sign-ins know of it"
    for sign_in in books.sign_ins:
        if not sign_in.ended or sign_in.kept_secret:
            kept = ", its secrets still there" if sign_in.kept_secret else ""
            yield f"the sign-in {sign_in.id} is {sign_in.status}{kept}"
        elif sign_in.status == DONE and sign_in.grant_id not in books.truth.grants.keys() | books.truth.deleted:
            yield f"the sign-in {sign_in.id} is {sign_in.status}, and Nylas has no grant that came of it"


def notices(books: Books) -> Iterator[str]:
    """Each change has its notices; they are delivered at least once, in order, and none twice but for its id."""
    yield from _heard_rightly(books)
    yield from _told_of(books.transitions, books.notices, books.truth.imported)
    heard = {entry.id for entry in books.heard if entry.signed}
    for notice in books.notices:
        if notice.due and not notice.settled:
            yield f"the notice {notice.id} ({notice.kind}) was never told: {notice.reason}"
        elif notice.outcome == DONE and not (notice.undelivered or notice.overtaken or notice.id in heard):
            yield f"the notice {notice.id} ({notice.kind}) counts as delivered, and the product never heard it"
        elif notice.undelivered:
            yield f"the notice {notice.id} ({notice.kind}) was not delivered"
        elif notice.settled and notice.outcome not in (DONE, SKIPPED):
            yield f"the notice {notice.id} ({notice.kind}) ended as {notice.outcome}: {notice.reason}"
    yield from _last_told(books)


def _heard_rightly(books: Books) -> Iterator[str]:
    known = {notice.id: notice for notice in books.notices}
    causes = {transition.id: transition.at for transition in books.transitions}
    first: dict[str, Heard] = {}
    for entry in books.heard:
        if not entry.signed:
            yield f"a notice ({entry.id}) was not signed as it should be"
        elif entry.id not in known:
            yield f"the product heard {entry.id} ({entry.kind}), and no row says so"
        else:
            first.setdefault(entry.id, entry)
    numbers = Counter((entry.grant_id, entry.sequence) for entry in first.values() if entry.grant_id)
    for (grant_id, number), count in numbers.items():
        if count > 1:
            yield f"number {number} of the grant {grant_id} was told as {count} different notices"
    last: dict[str, int] = {}
    for entry in first.values():
        if entry.grant_id and entry.sequence is not None:
            if entry.sequence < last.get(entry.grant_id, 0):
                yield f"number {entry.sequence} of the grant {entry.grant_id} came after {last[entry.grant_id]}"
            last[entry.grant_id] = max(entry.sequence, last.get(entry.grant_id, 0))
        cause: datetime | None = causes.get(known[entry.id].transition_id or "")
        if cause and entry.at < cause - CLOCKS_APART:
            yield f"the notice {entry.id} was heard before its cause was written"


def _told_of(
    transitions: Sequence[TransitionRow], rows: Sequence[NoticeRow], imported: Collection[str]
) -> Iterator[str]:
    """Say which changes have no notice, told or withdrawn."""
    kinds, why = defaultdict[str | None, set[str]](set), dict[tuple[str | None, str], str]()
    for row in rows:
        kinds[row.transition_id].add(row.kind)
        if row.outcome == SKIPPED:
            why[row.transition_id, row.kind] = row.reason or "nobody knows why"
    for (transition_id, kind), count in Counter((row.transition_id, row.kind) for row in rows).items():
        if count > 1 and transition_id and kind in TELLING:
            yield f"the change {transition_id} has {count} different notices of {kind}"
    last = {change.grant_id: change.id for change in transitions}
    spells: dict[str, bool] = {}
    for change in transitions:
        came = change.old is None and change.grant_id not in imported
        wanted = _wanted(change.new, came=came, expired_before=spells.get(change.grant_id, False))
        if change.new in ("expired", "valid", "deleted"):
            spells[change.grant_id] = change.new == "expired"
        if wanted and not kinds[change.id] & wanted:
            yield f"the change of {change.grant_id} from {change.old} to {change.new} has no notice"
        elif wanted and last[change.grant_id] == change.id and (change.old or change.new != "expired"):
            # Nobody is told of what had expired before it was known here.
            for kind in wanted:
                if reason := why.get((change.id, kind)):
                    yield f"the grant {change.grant_id} is {change.new} still, which was never told: {reason}"


def _wanted(new: str, *, came: bool, expired_before: bool) -> set[str] | None:
    """Which notices may tell of a change. Of the end of a spell that nobody was told of there is none."""
    match new:
        case "expired" if not expired_before:
            return {"grant.expired"}
        case "deleted":
            return {"grant.deleted"}
        case "valid" if came:
            return {"grant.valid"}
    return None


def _last_told(books: Books) -> Iterator[str]:
    """Who goes by the product's books knows how each grant stands."""
    by_id = {entry.id: entry for entry in books.heard if entry.signed}
    told: dict[str, Heard] = {}
    for entry in by_id.values():
        if entry.grant_id and entry.kind in TELLING and (entry.sequence or 0) > _number(told.get(entry.grant_id)):
            told[entry.grant_id] = entry
    for grant_id, entry in told.items():
        now = STATUS_AT_NYLAS[books.truth.grants[grant_id]] if grant_id in books.truth.grants else "deleted"
        if TELLING[entry.kind] != now:
            yield f"the last that was told of the grant {grant_id} is {entry.kind}, and it is {now}"


def _number(entry: Heard | None) -> int:
    return entry.sequence or 0 if entry else 0


def campaigns(books: Books) -> Iterator[str]:
    """All items end, and no mailbox is authenticated more often than was asked, but for answers that were lost."""
    for id in books.asked_for:
        if (status := books.campaigns.get(id, "not there, or without items")) != FINISHED:
            yield f"the campaign {id} that was asked for is {status}"
    for item in books.items:
        if not item.settled or item.outcome not in (DONE, SKIPPED):
            yield f"the item {item.id} of a campaign ended as {item.outcome}"
    if (extra := extra_calls(books)) > books.interrupted:
        yield f"{extra} renewals were done more than were asked for; {books.interrupted} can be explained"
    yield from unexplained(books)
    yield from impatient(books)


def flips(books: Books) -> Iterator[str]:
    """No grant was taken for expired or deleted that was not so at Nylas, whatever Nylas answered for a while."""
    expired = Counter(change.grant_id for change in books.transitions if change.new == "expired" and change.old)
    for grant_id, count in expired.items():
        if count > books.truth.expiries[grant_id]:
            yield f"the grant {grant_id} expired {count} times here, {books.truth.expiries[grant_id]} times at Nylas"
    for change in books.transitions:
        if change.new == "deleted" and change.grant_id not in books.truth.deleted:
            yield f"the grant {change.grant_id} was taken for deleted"


def secrets(books: Books) -> Iterator[str]:
    """No secret is where it should not be."""
    yield from books.secrets_found


def recovery(books: Books) -> Iterator[str]:
    """After a fault all goes on soon."""
    for share, seconds in RECOVERS_WITHIN.items():
        if (took := quantile(books.recoveries, share)) > seconds:
            yield f"{share:.0%} of recoveries took {took:.1f} s; {seconds:g} s are promised"


def growth(books: Books) -> Iterator[str]:
    """Memory and open files stay as they are; told of long storms only, since a young process still grows."""
    for what, ratio in books.growth.items():
        if ratio is None:
            yield f"{what} were not measured: none of them became old enough"
        elif ratio > GROWS_AT_MOST:
            yield f"{what} grew to {ratio:.2f} of what it was"


def intake(books: Books) -> Iterator[str]:
    """Webhooks are answered at once, whatever becomes of Valkey; what the measuring itself was late does not count."""
    for when, took, within in (
        ("when all was calm", books.calm, CALM_WITHIN),
        ("while Valkey was away", books.without_valkey, TROUBLED_WITHIN),
    ):
        slow = quantile(took, 0.99) - books.late
        if slow == inf:
            yield f"{when} more than 1 % of webhooks were refused"
        elif slow > within:
            yield f"{when} 99 % of webhooks were answered within {slow * 1_000:.0f} ms; {within * 1_000:g} are promised"


def _answers(books: Books) -> list[float]:
    return books.calm or books.without_valkey


PROMISES: Sequence[Promise] = (
    Promise(1, "every webhook that got 200 is one row, settled; poison is set aside", webhooks),
    Promise(2, "every grant stands as it does at Nylas", statuses),
    Promise(3, "every code is exchanged at most once", codes),
    Promise(4, "every change is told, at least once, in order", notices),
    Promise(5, "every item of a campaign ends; extra calls are explained", campaigns),
    Promise(6, "no grant flips by a fault", flips),
    Promise(7, "no secret leaks", secrets),
    Promise(8, "recovery: p95 5 s, p99 15 s, at most 30 s", recovery, timed=True),
    Promise(9, "memory and open files stay flat (long storms)", growth, goes_by=lambda books: books.growth),
    Promise(10, "intake: p99 50 ms calm, 250 ms without Valkey", intake, timed=True, goes_by=_answers),
)


def judged(books: Books) -> Mapping[int, list[str]]:
    """What breaks each promise."""
    return {promise.number: list(promise.broken(books)) for promise in PROMISES}
