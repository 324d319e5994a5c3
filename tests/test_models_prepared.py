"""Statements that are compiled once: they say what SQLAlchemy says, fail as it fails, and are heard as its own are."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import SQLModel, col

import models
from models import Event, EventData, Grant, GrantTag
from models.among import among_given
from models.claims import Outcome
from models.inserting import FEW, insert_new
from models.prepared import Prepared
from models.row import table_of
from simulator import Running
from tasks.context import Context
from tests.conftest import SetClock
from tests.statements import statements
from tests.stories import hints, known, the_event

TABLES = [table for table in SQLModel.metadata.sorted_tables if table.c.keys()]


async def test_rows_are_as_sqlalchemy_reads_them_whatever_their_columns_hold(ctx: Context, sim: Running) -> None:
    await known(ctx, sim, 3, status="invalid")
    await hints(ctx, models.kinds.GRANT_EXPIRED, *await known(ctx, sim, 2))
    full = set[str]()
    async with ctx.database.reading() as session:
        for table in TABLES:
            wanted = sa.select(table).order_by(*table.primary_key)
            theirs = [tuple(row) for row in await session.execute(wanted)]
            assert await Prepared(wanted).rows(session, {}) == theirs
            full |= {table.name} if theirs else set()
    assert {"application", "event", "grant", "transition"} <= full


async def test_what_is_given_and_what_is_fixed_both_go_by_the_types_of_their_columns(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    one, two = await known(ctx, sim, 2)
    await hints(ctx, models.kinds.GRANT_EXPIRED, one, two)
    mine = Prepared(
        sa.select(col(Event.grant_id), col(Event.due_at)).where(
            among_given(col(Event.grant_id), "grants"),
            col(Event.due_at) <= sa.bindparam("at"),
            sa.or_(col(Event.outcome).is_(None), col(Event.outcome).not_in((Outcome.DONE, Outcome.IGNORED))),
        )
    )
    async with ctx.database.reading() as session:
        now = {"at": clock()}
        assert await mine.dicts(session, now | {"grants": [one]}) == [{"grant_id": one, "due_at": clock()}]
        assert set(await mine.firsts(session, now | {"grants": [two, one]})) == {one, two}
        assert await mine.rows(session, {"at": clock() - timedelta(seconds=1), "grants": [one]}) == []
        with pytest.raises(KeyError, match="grants"):
            await mine.rows(session, now)


async def test_a_refusal_of_the_database_is_what_sqlalchemy_makes_of_it_and_the_transaction_is_over(
    ctx: Context,
) -> None:
    stray = Prepared(
        sa.insert(table_of(GrantTag))
        .values(grant_id=sa.bindparam("of"), tag=sa.bindparam("named"))
        .returning(col(GrantTag.tag))
    )
    with pytest.raises(IntegrityError) as caught:
        async with ctx.database.writing() as session:
            await stray.rows(session, {"of": "nobody's SECRET", "named": "x"})
    assert "SECRET" not in str(caught.value)
    async with ctx.database.writing() as session:
        assert (await session.execute(sa.select(sa.func.count()).select_from(GrantTag))).scalar_one() == 0


async def test_it_is_heard_as_any_statement_is(ctx: Context) -> None:
    async with statements(ctx) as seen, ctx.database.reading() as session:
        await Prepared(sa.select(col(Grant.id))).rows(session, {})
    assert [said for said in seen if said.replace('"', "").startswith("SELECT grant.id")]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_whose_task_was_cancelled_in_the_middle_is_not_used_again(ctx: Context) -> None:
    sleeps = Prepared(sa.select(sa.func.pg_sleep(sa.bindparam("for_seconds", type_=sa.Float()))))

    async def sleep() -> None:
        async with ctx.database.writing() as session:
            await sleeps.rows(session, {"for_seconds": 30.0})

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await sleep()
    async with asyncio.timeout(5):
        assert await ctx.database.is_there()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_the_server_has_ended_is_told_as_lost(ctx: Context) -> None:
    ends = Prepared(sa.select(sa.func.pg_terminate_backend(sa.func.pg_backend_pid())))
    with pytest.raises(DBAPIError) as caught:
        async with ctx.database.writing() as session:
            await ends.rows(session, {})
    assert caught.value.connection_invalidated
    assert await ctx.database.is_there()


@pytest.mark.parametrize("number", [1, FEW, FEW + 1])
async def test_of_rows_that_are_inserted_those_that_are_there_already_stay_and_the_new_are_told(
    ctx: Context, clock: SetClock, number: int
) -> None:
    def event(key: str) -> EventData:
        return EventData(
            application_id=ctx.application_id,
            kind=models.kinds.GRANT_EXPIRED,
            key=key,
            source="nylas",
            raw=b"\x00\xff{}",
            received_at=clock(),
            due_at=clock(),
        )

    first = [event(f"key {one}") for one in range(number)]
    async with ctx.database.writing() as session:
        assert set(await insert_new(session, Event, [row.columns() for row in first])) == {row.id for row in first}
    async with ctx.database.writing() as session:
        again = [event(f"key {one}") for one in range(number)]
        assert await insert_new(session, Event, [row.columns() for row in again]) == []
        more = [event(f"more {one}") for one in range(number)]
        keys = await insert_new(session, Event, [row.columns() for row in more], returning="key")
        assert set(keys) == {row.key for row in more}
        assert await insert_new(session, Event, []) == []
    stored = await the_event(ctx, first[0].id)
    assert stored.model_dump() == first[0].model_dump()


async def test_a_column_with_a_default_in_python_is_not_forgotten_in_silence(ctx: Context) -> None:
    """SQLAlchemy would put it in at each execution, which a prepared statement does not."""
    table = sa.Table("made", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("at", sa.Integer, default=len))
    insert = Prepared(sa.insert(table).values(id=sa.bindparam("new_id")))
    async with ctx.database.writing() as session:
        with pytest.raises(TypeError, match=r"give made\.at as well"):
            await insert.write(session, [{"new_id": 1}])
