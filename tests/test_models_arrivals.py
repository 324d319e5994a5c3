"""Storing arrivals: what `receive` promises, for many at once; and what is stored is what it would have stored."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError

from models import Event, Outcome
from models.arrivals import Arrival, store_arrivals
from models.claims import close
from models.columns import new_id
from models.database import Database
from models.inbox import receive, told

NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def arrival(application_id: UUID, key: str, *, raw: bytes = b"{}") -> Arrival:
    """An event that has just come."""
    return Arrival(application_id, "grant.expired", key, "nylas", raw, NOON, grant_id="g1")


async def inbox(database: Database) -> dict[str, Event]:
    """All that is in it, by key."""
    async with database.reading() as session:
        return {row.key: row for row in await session.scalars(select(Event))}


async def test_a_row_is_what_an_event_that_is_received_becomes_but_for_its_ring(
    database: Database, application_id: UUID
) -> None:
    """Each column, on both databases; it has been rung for, since that is done right after the commit."""
    raw, then = bytes(range(256)), NOON - timedelta(days=3)
    told_of = [
        told("grant.expired", f"told-{grant}", application_id=application_id, source="nylas", now=NOON, raw=raw)
        for grant in ("open", "ignored", "aside")
    ]
    came = [Arrival(application_id, "grant.expired", f"came-{grant}", "nylas", raw, NOON) for grant in "oia"]
    for one, other in zip(told_of, came, strict=True):
        one.grant_id = other.grant_id = 'g"\\{},'
        one.occurred_at = other.occurred_at = then
        one.id = other.id
    for outcome, one, other in zip((Outcome.IGNORED, Outcome.SET_ASIDE), told_of[1:], came[1:], strict=True):
        close(one, outcome, now=NOON, reason="'why'")
        other.close(outcome, "'why'")

    assert await store_arrivals(database, lambda: came) == {each.id for each in came}
    stored = await inbox(database)
    for each in told_of:
        each.id = new_id()
    async with database.writing() as session:
        await receive(session, told_of)
    received = await inbox(database)

    for one, other in zip(told_of, came, strict=True):
        of_one, of_other = received[one.key].model_dump(), stored[other.key].model_dump()
        assert of_other["rung_at"] == (None if other.settled_at else NOON)
        same = of_one.keys() - {"id", "key", "rung_at"}
        assert {name: of_other[name] for name in same} == {name: of_one[name] for name in same}


async def test_only_the_new_ones_are_named_and_one_that_stands_twice_is_one_row(
    database: Database, application_id: UUID
) -> None:
    old = arrival(application_id, "old", raw=b"first")
    assert await store_arrivals(database, lambda: [old]) == {old.id}

    again, fresh, twin = arrival(application_id, "old"), arrival(application_id, "new"), arrival(application_id, "new")
    new = await store_arrivals(database, lambda: [again, fresh, twin])

    rows = await inbox(database)
    assert new == {rows["new"].id}
    assert new < {fresh.id, twin.id}
    assert (rows["old"].id, rows["old"].raw) == (old.id, b"first")
    assert await store_arrivals(database, lambda: [again]) == set()


async def test_one_that_is_refused_takes_all_with_it(database: Database, application_id: UUID) -> None:
    with pytest.raises(IntegrityError):
        await store_arrivals(database, lambda: [arrival(application_id, "good"), arrival(new_id(), "bad")])
    assert await inbox(database) == {}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_is_too_long_is_refused_and_never_cut_off(database: Database, application_id: UUID) -> None:
    with pytest.raises(DBAPIError):
        await store_arrivals(database, lambda: [arrival(application_id, "k" * 97)])
    assert await inbox(database) == {}


async def test_those_who_store_the_same_in_another_order_do_not_block_each_other(
    database: Database, application_id: UUID
) -> None:
    keys = [f"{number}" for number in range(300)]
    both = [[arrival(application_id, key) for key in order] for order in (keys, keys[::-1])]

    new = await asyncio.gather(*(store_arrivals(database, lambda each=each: each) for each in both))

    assert len(new[0] | new[1]) == 300
    assert len(await inbox(database)) == 300
