"""The clock that all processes go by: the database server's, where there is one."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.database import Database
from tasks.clock import system_clock
from tests.databases import fresh_postgres
from worker.agreed_clock import agreed

SOON = timedelta(seconds=5)


@pytest.fixture
async def on_postgres(postgres: str) -> AsyncIterator[Database]:
    database = Database(await fresh_postgres(postgres))
    yield database
    await database.close()


@pytest.mark.parametrize("minutes", [10, -10])
async def test_a_machine_whose_clock_is_wrong_goes_by_the_database_server(on_postgres: Database, minutes: int) -> None:
    clock = await agreed(on_postgres, lambda: system_clock() + timedelta(minutes=minutes))

    assert abs(clock() - datetime.now(UTC)) < SOON


async def test_a_clock_that_is_put_right_is_followed(on_postgres: Database) -> None:
    off = [timedelta(minutes=10)]
    clock = await agreed(on_postgres, lambda: system_clock() + off[0])
    off[0] = timedelta()

    await clock.agree(on_postgres)

    assert clock.ahead == timedelta()


async def test_a_clock_that_is_right_is_left_alone(on_postgres: Database) -> None:
    assert (await agreed(on_postgres, system_clock)).ahead == timedelta()


async def test_on_sqlite_there_is_only_this_machines_clock(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    database = Database(f"sqlite:///{tmp_path / 'any.db'}")

    clock = await agreed(database, lambda: moment)

    assert clock() == moment
    await database.close()
