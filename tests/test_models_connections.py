"""Connections to PostgreSQL that their server has ended, and who gets another one in their place."""

import asyncio

import pytest
from sqlalchemy import text

from models.database import AWAY, Database, is_away


async def process(database: Database) -> int:
    async with database.reading() as session:
        return int((await session.execute(text("SELECT pg_backend_pid()"))).scalar_one())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_rested_is_used_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.database.RESTED", 0.0)
    assert len({await process(database) for _ in range(5)}) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_died_while_it_rested_is_replaced_unseen(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.RESTED", 0.0)
    async with database.reading() as other:
        await other.execute(text("SELECT 1"))
        first = await process(database)
        await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
    assert await process(database) != first


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_after_the_server_has_ended_all_connections_the_next_transactions_go(
    database: Database, database_url: str
) -> None:
    """Each of them was in the middle of a statement, and is closed when the next one would get it."""
    admin, many = Database(database_url, pool_size=1), 8

    async def sleep() -> BaseException | None:
        try:
            async with database.reading() as session:
                await session.execute(text("SELECT pg_sleep(30)"))
        except AWAY as error:
            assert await process(database)
            return error
        return None

    sleeping = [asyncio.create_task(sleep()) for _ in range(many)]
    others = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid != pg_backend_pid()"

    async def ask(what: str) -> int:
        async with admin.reading() as session:
            return int(await session.scalar(text(f"SELECT count({what}) {others}")) or 0)

    async with asyncio.timeout(20):
        while await ask("*") != many:
            pass
    assert await ask("pg_terminate_backend(pid)") == many
    assert [error is not None and is_away(error) for error in await asyncio.gather(*sleeping)] == [True] * many
    await admin.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_died_right_after_its_use_fails_one_transaction(database_url: str) -> None:
    database, admin = Database(database_url, pool_size=1), Database(database_url, pool_size=1)
    first = await process(database)
    async with admin.reading() as other:
        await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
    with pytest.raises(AWAY):
        await process(database)
    assert await process(database) != first
    await admin.close()
    await database.close()
