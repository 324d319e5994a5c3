"""Whether a run came to the right end: the storm's promises, and what can be asked where nothing runs beside it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

from storm import reading
from storm.books import Books, Truth
from storm.invariants import codes, flips, notices, statuses, webhooks
from storm.renewing import extra_calls
from storm.simulation.world import World
from tasks.context import ONE_IS_REFUSED

PROMISES = (webhooks, statuses, codes, notices, flips)
ENDS = ("done", "skipped", "cancelled")
REFUSED = "api.authentication_error"
LEGAL = {
    (None, "valid"),
    (None, "expired"),
    ("valid", "suspect"),
    ("valid", "expired"),
    ("valid", "deleted"),
    ("suspect", "valid"),
    ("suspect", "expired"),
    ("suspect", "deleted"),
    ("expired", "valid"),
    ("expired", "deleted"),
}
CANCELLED = """
SELECT campaign_item.id FROM campaign_item JOIN campaign ON campaign.id = campaign_item.campaign_id
WHERE campaign.status = 'cancelled' AND campaign_item.outcome = 'set_aside' AND campaign_item.crashes > 0
"""
"""At whom too many had died when the admin wanted no more of them."""
RENEWED = """
SELECT lower("grant".email), count(*) FROM campaign_item JOIN "grant" ON "grant".id = campaign_item.grant_id
WHERE campaign_item.outcome = 'done' AND campaign_item.reason IS NULL GROUP BY 1
"""
"""Who is done without its user's help, and how often."""


def at_once(world: World) -> list[str]:
    """What is broken by now: cheap enough to be asked after each step."""
    found = [what for (what,) in world.look.execute("SELECT what FROM simulation_broken")]
    for code, ends in world.line.code_ends.items():
        if any(end is None or not 400 <= end < 500 for end in ends[:-1]):
            found.append(f"a code ({code[:6]}…) was sent {len(ends)} times, with the answers {ends}")
    return [*found, *world.notes.broken]


def in_the_end(world: World) -> list[str]:
    """What is broken when nothing is left to do."""
    books = world.run(read_books(world))
    found = [f"{promise.__name__}: {what}" for promise in PROMISES for what in promise(books)]
    return [*at_once(world), *found, *_campaigns(world, books), *_history(books)]


async def read_books(world: World) -> Books:
    """The storm's books of this run."""
    database, state, notes = world.database, world.nylas.state, world.notes
    again = Counter(item for (item,) in world.look.execute("SELECT item FROM simulation_again"))
    truth = Truth(
        grants={id: grant.grant_status for id, grant in state.books.by_id.items()},
        emails={id: grant.email for id, grant in state.books.by_id.items()},
        imported=notes.imported,
        expiries=notes.expiries,
        deleted=notes.deleted,
        code_ends=world.line.code_ends,
        renewals=state.calls.renewals,
    )
    return Books(
        sent=list(notes.sent.values()),
        events=await reading.events(database),
        grants=await reading.grants(database),
        transitions=await reading.transitions(database),
        notices=await reading.notices(database, now=world.now()),
        heard=reading.heard(world.product.heard),
        sign_ins=await reading.sign_ins(database),
        items=[replace(item, asked=1 + again[UUID(item.id).hex]) for item in await reading.items(database)],
        truth=truth,
        interrupted=notes.interrupted,
    )


def _campaigns(world: World, books: Books) -> Iterator[str]:
    """All items end; who counts as renewed was renewed as often, and nobody once too often."""
    cancelled = {UUID(id) for (id,) in world.look.execute(CANCELLED)}
    for item in books.items:
        if UUID(item.id) in cancelled:
            continue
        if item.outcome == "failed" and item.grant_id in books.truth.deleted:
            continue  # Nylas answered with the grant that it made in the place of the one that was deleted
        if item.outcome == "failed" and item.cause == REFUSED and item.attempts >= ONE_IS_REFUSED:
            continue  # Nylas refused this one, and no other, again and again
        if not item.settled or item.outcome not in ENDS:
            yield f"campaigns: the item {item.id} of {item.email} ended as {item.outcome}"
    renewals = {email.lower(): count for email, count in books.truth.renewals.items()}
    for email, count in world.look.execute(RENEWED):
        if count > renewals.get(email, 0):
            yield f"campaigns: {count} items of {email} are done; Nylas has renewed it {renewals.get(email, 0)} times"
    if (extra := extra_calls(books)) > books.interrupted:
        yield f"campaigns: {extra} renewals too many; {books.interrupted} can be explained"


def _history(books: Books) -> Iterator[str]:
    """Each change is a legal one, and begins where the last one ended."""
    stands: dict[str, str | None] = {}
    for change in books.transitions:
        before = stands.get(change.grant_id)
        if change.old != before:
            yield f"history: the grant {change.grant_id} was {before}, and changes from {change.old} to {change.new}"
        if (change.old, change.new) not in LEGAL and change.old != change.new:
            yield f"history: the grant {change.grant_id} changes from {change.old} to {change.new}"
        stands[change.grant_id] = change.new
    for grant_id, status in books.grants.items():
        if stands.get(grant_id) != status:
            yield f"history: the grant {grant_id} is {status}, and its history ends with {stands.get(grant_id)}"
