"""Writing into the inbox: each event once, however often and by how many we are told."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError

from models import Event
from models.columns import new_id
from models.database import Database
from models.event import LONGEST_KEY
from models.inbox import event_key, receive, told

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(application_id: UUID, key: str, *, raw: bytes = b"{}") -> Event:
    """An event that Nylas tells us."""
    return told("grant.expired", key, application_id=application_id, source="nylas", now=NOON, raw=raw, grant_id="g1")


async def store(database: Database, *events: Event) -> set[UUID]:
    """Receive in a transaction of its own."""
    async with database.writing() as session:
        return await receive(session, events)


async def inbox(database: Database) -> list[Event]:
    """All that is in it."""
    async with database.reading() as session:
        return list((await session.scalars(select(Event))).all())


async def test_an_event_told_fifty_times_at_once_is_one_row(database: Database, application_id: UUID) -> None:
    tellings = [event(application_id, "same") for _ in range(50)]

    new = await asyncio.gather(*(store(database, each) for each in tellings))

    [row] = await inbox(database)
    assert [ids for ids in new if ids] == [{row.id}]
    assert row.id in {each.id for each in tellings}


async def test_only_the_new_ones_are_named(database: Database, application_id: UUID) -> None:
    old = event(application_id, "old")
    assert await store(database, old) == {old.id}

    again, fresh = event(application_id, "old"), event(application_id, "fresh")
    assert await store(database, again, fresh) == {fresh.id}
    assert {row.id for row in await inbox(database)} == {old.id, fresh.id}


async def test_an_event_that_stands_twice_in_one_call_is_one_row(database: Database, application_id: UUID) -> None:
    one, twin, other = (event(application_id, key) for key in ("same", "same", "other"))

    new = await store(database, one, twin, other)

    assert {row.id for row in await inbox(database)} == new
    assert len(new) == 2
    assert other.id in new


async def test_a_second_telling_leaves_the_first_as_it_is(database: Database, application_id: UUID) -> None:
    """Its body, its times and what was done about it stay."""
    first = event(application_id, "same", raw=b'{"attempt":1}')
    await store(database, first)
    await store(database, event(application_id, "same", raw=b'{"attempt":2}'))
    [row] = await inbox(database)
    assert (row.id, row.raw) == (first.id, b'{"attempt":1}')


async def test_nothing_told_is_nothing_stored(database: Database) -> None:
    assert await store(database) == set()
    assert await inbox(database) == []


async def test_the_raw_body_is_kept_to_the_byte(database: Database, application_id: UUID) -> None:
    raw = bytes(range(256)) * 40
    await store(database, event(application_id, "raw", raw=raw))
    assert (await inbox(database))[0].raw == raw


async def test_an_event_is_due_at_once_and_untouched(database: Database, application_id: UUID) -> None:
    await store(database, event(application_id, "k"))
    [row] = await inbox(database)
    assert (row.due_at, row.received_at) == (NOON, NOON)
    assert (row.attempts, row.crashes, row.rung_at, row.lease_until, row.settled_at) == (0, 0, None, None, None)
    assert row.due_at.utcoffset() == timedelta(0)


async def test_an_event_of_an_unknown_application_is_refused_and_not_ignored(database: Database) -> None:
    """Only a key that is there already is ignored."""
    with pytest.raises(IntegrityError):
        await store(database, event(new_id(), "k"))
    assert await inbox(database) == []


async def test_one_that_is_refused_takes_its_whole_call_with_it(database: Database, application_id: UUID) -> None:
    with pytest.raises(DBAPIError):
        await store(database, event(application_id, "good"), event(new_id(), "bad"))
    assert await inbox(database) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_calls_that_tell_the_same_in_another_order_do_not_block_each_other(
    database: Database, application_id: UUID
) -> None:
    """Two web processes store the doubled deliveries of one burst; a deadlock would refuse one of them."""
    for burst in range(5):
        keys = [f"{burst}-{number}" for number in range(300)]
        both = [[event(application_id, key) for key in order] for order in (keys, keys[::-1])]
        new = await asyncio.gather(*(store(database, *events) for events in both))
        assert len(new[0] | new[1]) == 300
    assert len(await inbox(database)) == 1500


def test_a_key_of_our_own_fits_its_column_and_stays_the_same_and_its_own() -> None:
    grant_id = "g" * 128
    assert event_key("recheck", "g1", "now") == "recheck:g1:now"
    keys = {event_key("recheck", grant_id, moment) for moment in ("now", "later", "now")}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {LONGEST_KEY}
