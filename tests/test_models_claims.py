"""Rows that are work: claimed by one, fenced by a token, counted, set aside, and rung for."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import col

from models import Application, Event, Outcome
from models.claims import (
    MOST_ATTEMPTS,
    MOST_CRASHES,
    claim,
    close,
    postpone,
    renew,
    still_ours,
)
from models.columns import new_id
from models.database import Database
from models.inbox import receive, told
from models.rings import RING_AGAIN, take_unrung

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=60)
LATER = NOON + LEASE + timedelta(seconds=1)
SOON = timedelta(seconds=1)


async def due_events(database: Database, many: int = 1, *, due_at: datetime = NOON) -> list[UUID]:
    """Store events that are due."""
    application = Application(
        id=new_id(), client_id=str(new_id()), api_uri="u", api_key="eg1.x.y", created_at=NOON, updated_at=NOON
    )
    events = [
        told("grant.updated", str(new_id()), application_id=application.id, source="nylas", now=due_at)
        for _ in range(many)
    ]
    async with database.writing() as session:
        session.add(application)
        await session.flush()
        await receive(session, random.sample(events, many))
    return [event.id for event in events]


async def take(database: Database, ids: list[UUID], now: datetime = NOON) -> tuple[UUID, list[UUID]]:
    """Claim in a transaction of its own; return the token and the ids of the rows taken."""
    async with database.writing() as session:
        token, rows = await claim(session, Event, ids, now=now, lease=LEASE)
        return token, [row.id for row in rows]


async def let_go(database: Database, token: UUID, row: UUID, *, until: datetime, reason: str) -> None:
    """Postpone a row that we hold."""
    async with database.writing() as session:
        for held in await still_ours(session, Event, token, [row]):
            postpone(held, until=until, reason=reason)


async def read(database: Database, row: UUID) -> Event:
    """Read a row as it stands."""
    async with database.reading() as session:
        return await session.get_one(Event, row)


async def ring(database: Database, now: datetime, most: int = 1000) -> list[UUID]:
    """Sweep once."""
    async with database.writing() as session:
        return [row.id for row in await take_unrung(session, Event, now=now, most=most)]


async def test_of_claimants_at_the_same_time_each_row_goes_to_one(database: Database) -> None:
    ids = await due_events(database, 100)
    shuffled = [random.sample(ids, len(ids)) for _ in range(6)]

    taken = await asyncio.gather(*(take(database, each) for each in shuffled))

    assert sorted(row for _, rows in taken for row in rows) == sorted(ids)
    assert len({token for token, _ in taken}) == 6


async def test_a_row_that_is_held_is_not_claimed_before_its_lease_runs_out(database: Database) -> None:
    ids = await due_events(database)
    await take(database, ids)
    assert (await take(database, ids, NOON + LEASE))[1] == []
    assert (await take(database, ids, LATER))[1] == ids


async def test_a_row_that_is_not_due_yet_is_not_claimed(database: Database) -> None:
    ids = await due_events(database, due_at=NOON)
    assert (await take(database, ids, NOON - SOON))[1] == []
    assert (await read(database, ids[0])).attempts == 0
    assert (await take(database, ids, NOON))[1] == ids


async def test_a_claimant_that_slept_past_its_lease_holds_nothing_once_another_came(database: Database) -> None:
    """The fence: it finds no row to write to, and can't get its lease back."""
    ids = await due_events(database)
    sleeper, _ = await take(database, ids)
    heir, rows = await take(database, ids, LATER)
    assert rows == ids

    async with database.writing() as session:
        assert await still_ours(session, Event, sleeper, ids) == []
        assert await renew(session, Event, sleeper, ids, now=LATER, lease=LEASE) == 0
        assert [row.id for row in await still_ours(session, Event, heir, ids)] == ids
    assert (await read(database, ids[0])).lease_until == LATER + LEASE


async def test_a_renewed_lease_keeps_others_out(database: Database) -> None:
    ids = await due_events(database, 2)
    token, _ = await take(database, ids)
    async with database.writing() as session:
        assert await renew(session, Event, token, ids, now=NOON + LEASE / 2, lease=LEASE) == 2
    assert (await take(database, ids, LATER))[1] == []
    assert sorted((await take(database, ids, NOON + LEASE * 2))[1]) == sorted(ids)


@pytest.mark.long
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_those_who_claim_renew_and_settle_the_same_rows_never_block_each_other(database: Database) -> None:
    """They lock many rows each, so they must do it in one order: a deadlock would fail one of them."""
    ids = await due_events(database, 200)
    token, _ = await take(database, ids)
    moment = NOON

    async def settle() -> None:
        async with database.writing() as session:
            for row in await still_ours(session, Event, token, ids):
                row.reason = str(new_id())

    async def hold_on() -> None:
        async with database.writing() as session:
            await renew(session, Event, token, ids, now=NOON, lease=LEASE)

    async def claim_and_fail() -> None:
        nonlocal moment
        moment += LEASE + SOON
        async with database.writing() as session:
            await claim(session, Event, random.sample(ids, len(ids)), now=moment, lease=LEASE)
            await session.rollback()

    for _ in range(15):
        await asyncio.gather(*(step() for step in (settle, hold_on, claim_and_fail, claim_and_fail) * 2))


async def test_an_attempt_is_counted_as_it_is_claimed(database: Database) -> None:
    """So that work which kills its worker is counted as well."""
    [row] = await due_events(database)
    token, _ = await take(database, [row])
    assert (await read(database, row)).attempts == 1
    await let_go(database, token, row, until=NOON, reason="away")
    await take(database, [row])
    assert (await read(database, row)).attempts == 2


async def test_a_death_is_a_lease_that_ran_out_and_not_one_that_was_let_go(database: Database) -> None:
    [row] = await due_events(database)
    token, _ = await take(database, [row])
    await let_go(database, token, row, until=LATER, reason="Nylas is away")
    token, _ = await take(database, [row], LATER)
    assert (await read(database, row)).crashes == 0
    await take(database, [row], LATER + LEASE + SOON)
    assert (await read(database, row)).crashes == 1


async def test_a_row_whose_worker_died_too_often_is_set_aside(database: Database) -> None:
    [row] = await due_events(database)
    now = NOON
    for _ in range(MOST_CRASHES):
        assert (await take(database, [row], now))[1] == [row]
        now += LEASE + SOON

    token, taken = await take(database, [row], now)

    assert taken == []
    aside = await read(database, row)
    assert (aside.outcome, aside.settled_at) == (Outcome.SET_ASIDE, now)
    assert aside.reason == f"the work on it crashed {MOST_CRASHES} times"
    assert (aside.claim_token, aside.lease_until) == (None, None)
    assert (await take(database, [row], now + LEASE * 9))[1] == []
    async with database.writing() as session:
        assert await still_ours(session, Event, token, [row]) == []


async def tried(database: Database, row: UUID, times: int) -> None:
    """Make a row that was tried so often."""
    async with database.writing() as session:
        (await session.get_one(Event, row)).attempts = times


async def test_a_row_that_was_tried_too_often_is_set_aside_with_the_last_reason(database: Database) -> None:
    [row] = await due_events(database)
    await tried(database, row, MOST_ATTEMPTS - 1)
    token, taken = await take(database, [row])
    assert taken == [row]
    await let_go(database, token, row, until=NOON, reason="Nylas is away")

    assert (await take(database, [row]))[1] == []

    aside = await read(database, row)
    assert aside.outcome is Outcome.SET_ASIDE
    assert aside.reason == f"tried {MOST_ATTEMPTS} times; the last reason was: Nylas is away"


async def test_a_spent_row_does_not_keep_others_from_being_claimed(database: Database) -> None:
    spent, fresh = await due_events(database, 2)
    await tried(database, spent, MOST_ATTEMPTS)
    assert (await take(database, [spent, fresh]))[1] == [fresh]


async def test_a_settled_row_is_let_go_and_never_claimed_again(database: Database) -> None:
    ids = await due_events(database)
    token, _ = await take(database, ids)
    async with database.writing() as session:
        for row in await still_ours(session, Event, token, ids):
            close(row, Outcome.DONE, now=NOON, reason="valid → expired", request_id="r-1")

    settled = await read(database, ids[0])
    assert (settled.outcome, settled.reason, settled.request_id) == (Outcome.DONE, "valid → expired", "r-1")
    assert (settled.claim_token, settled.lease_until) == (None, None)
    assert (await take(database, ids, LATER))[1] == []
    assert await ring(database, LATER) == []
    async with database.writing() as session:
        assert await renew(session, Event, token, ids, now=LATER, lease=LEASE) == 0
        assert await still_ours(session, Event, token, ids) == []


async def test_a_postponed_row_says_why_and_is_due_again_when_it_was_said(database: Database) -> None:
    [row] = await due_events(database)
    assert await ring(database, NOON) == [row]
    token, _ = await take(database, [row])
    await let_go(database, token, row, until=NOON + SOON, reason="Nylas is away")

    assert (await read(database, row)).reason == "Nylas is away"
    assert (await take(database, [row], NOON))[1] == []
    assert await ring(database, NOON) == []
    assert await ring(database, NOON + SOON) == [row], "it needs no second wait for its ring"
    assert (await take(database, [row], NOON + SOON))[1] == [row]


async def test_of_sweepers_at_the_same_time_each_row_is_given_to_one(database: Database) -> None:
    ids = await due_events(database, 100)
    swept = await asyncio.gather(*(ring(database, NOON, most=30) for _ in range(6)))
    given = [row for rows in swept for row in rows]
    assert len(given) == len(set(given))
    rest: list[UUID] = []
    while rows := await ring(database, NOON, most=30):
        rest += rows
    assert sorted(given + rest) == sorted(ids)


async def test_a_row_is_rung_for_again_only_after_a_while(database: Database) -> None:
    ids = await due_events(database)
    assert await ring(database, NOON) == ids
    assert await ring(database, NOON + RING_AGAIN) == []
    assert await ring(database, NOON + RING_AGAIN + SOON) == ids


async def test_the_oldest_rows_are_rung_for_first(database: Database) -> None:
    newest = await due_events(database, 2, due_at=NOON - SOON)
    oldest = await due_events(database, 2, due_at=NOON - SOON * 9)
    middle = await due_events(database, 2, due_at=NOON - SOON * 3)
    assert await ring(database, NOON, most=3) == [*oldest, middle[0]]
    assert await ring(database, NOON, most=9) == [middle[1], *newest]


@pytest.mark.parametrize("now", [NOON, NOON + LEASE])
async def test_nobody_rings_for_a_row_that_is_held(database: Database, now: datetime) -> None:
    ids = await due_events(database)
    await take(database, ids)
    assert await ring(database, now) == []


async def test_nobody_rings_for_a_row_that_is_not_due(database: Database) -> None:
    ids = await due_events(database)
    assert await ring(database, NOON - SOON) == []
    assert await ring(database, NOON) == ids


async def test_a_sweep_can_be_told_which_rows_are_its_own(database: Database) -> None:
    one, other = await due_events(database, 2)
    async with database.writing() as session:
        rows = await take_unrung(session, Event, col(Event.id) == other, now=NOON, most=9)
    assert [row.id for row in rows] == [other]
    assert await ring(database, NOON) == [one]
