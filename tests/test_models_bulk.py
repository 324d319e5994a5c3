"""Grants that are read as data, and rows that are written together: what was changed is written, and nothing else."""

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import col

from lifecycle import GrantStatus
from models import Event, EventData, Grant
from models.bulk import read_grants, write_changes
from models.claims import claim, claim_others, still_held, still_ours
from models.columns import new_id
from models.kinds import GRANT_UPDATED
from simulator import Running
from tasks.context import Context
from tests.stories import all_grants, hints, known, the_event


async def test_what_was_changed_in_grants_is_written_and_the_rest_stays(ctx: Context, sim: Running) -> None:
    one, two, three = await known(ctx, sim, 3)
    before = await all_grants(ctx)
    async with ctx.database.writing() as session:
        grants = await read_grants(session, [one, two, three], to_change=True)
        grants[one].name, grants[two].flaps = "Ada", 3
        await write_changes(session, list(grants.values()))
        grants[one].zone = "Europe/Berlin"
        await write_changes(session, list(grants.values()))
    after = await all_grants(ctx)
    assert (after[one].name, after[one].zone, after[two].flaps) == ("Ada", "Europe/Berlin", 3)
    assert [after[name].version - before[name].version for name in (one, two, three)] == [2, 1, 0]
    written = {"name", "zone", "flaps", "version"}
    assert all(after[name].model_dump(exclude=written) == before[name].model_dump(exclude=written) for name in after)


async def test_a_grant_that_is_read_as_data_is_as_its_row(ctx: Context, sim: Running) -> None:
    ids = await known(ctx, sim, 2, status="invalid")
    rows = await all_grants(ctx)
    async with ctx.database.reading() as session:
        read = await read_grants(session, [*ids, "nobody's"])
    assert {name: grant.model_dump() for name, grant in read.items()} == {
        name: row.model_dump() for name, row in rows.items()
    }
    assert all(read[name].status is GrantStatus.EXPIRED and read[name].spell == rows[name].spell for name in ids)


async def test_no_grants_are_no_question(ctx: Context) -> None:
    async with ctx.database.writing() as session:
        assert await read_grants(session, [], to_change=True) == {}
        await write_changes(session, [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_version_that_has_moved_on_is_not_overwritten(ctx: Context, sim: Running) -> None:
    [name] = await known(ctx, sim, 1)
    async with ctx.database.writing() as session:
        grants = await read_grants(session, [name], to_change=True)
        await session.execute(update(Grant).where(col(Grant.id) == name).values(version=Grant.version + 1))
        grants[name].name = "Ada"
        with pytest.raises(StaleDataError):
            await write_changes(session, list(grants.values()))
    assert (await all_grants(ctx))[name].name is None


async def test_rows_of_an_earlier_session_are_written_as_they_were_changed(ctx: Context) -> None:
    ids = await hints(ctx, GRANT_UPDATED, "g1", "g2", "g3")
    async with ctx.database.writing() as session:
        _, rows = await claim(session, Event, ids, now=ctx.now(), lease=ctx.lease)
    first, second, _ = rows
    first.reason, second.attempts = "looked at", 7
    async with ctx.database.writing() as session:
        await write_changes(session, rows)
        assert set(await session.scalars(select(col(Event.reason)))) == {"looked at", None}
    assert ((await the_event(ctx, first.id)).reason, (await the_event(ctx, second.id)).attempts) == ("looked at", 7)


async def test_a_claim_of_rows_as_data_asks_nothing_of_the_session(ctx: Context) -> None:
    """It would look what each statement is to its row objects, which takes longer than the statement."""
    asked: list[str] = []
    now, lease = ctx.now(), ctx.lease
    async with ctx.database.writing() as session:
        event.listen(session.sync_session, "do_orm_execute", lambda state: asked.append(str(state.statement)))
        token, rows = await claim(session, EventData, [new_id()], now=now, lease=lease)
        anything = col(Event.kind) == GRANT_UPDATED
        rows += await claim_others(session, EventData, anything, now=now, lease=lease, token=token, most=1)
        assert await still_held(session, EventData, token, [new_id()]) == set()
        assert await still_ours(session, EventData, token, [new_id()]) == rows == []
        assert asked == []
        await session.execute(select(Event))
        assert len(asked) == 1
