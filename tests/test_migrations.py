"""The migrations, run up and down on both databases."""

import ast
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

import models
from models.database import Database
from models.migrations.run import downgrade, matches_models, upgrade
from models.migrations.standing import Standing, newest, standing

VERSIONS = Path(models.__file__).parent / "migrations" / "versions"
OURS = {"models", "tasks", "worker", "lifecycle", "nylas_api", "ingress", "simulator"}


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    """A database that nothing was done to yet."""
    database = Database(database_url)
    yield database
    await database.close()


async def tables(database: Database) -> set[str]:
    """The names of the tables that are there."""
    async with database.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()))


async def test_the_tables_go_up_and_down_and_up_again(empty: Database) -> None:
    wanted = set(SQLModel.metadata.tables) | {"alembic_version"}

    await upgrade(empty)
    assert await tables(empty) == wanted
    await downgrade(empty, "base")
    assert await tables(empty) == {"alembic_version"}
    await upgrade(empty)
    assert await tables(empty) == wanted


def test_the_newest_revision_by_the_names_of_the_files_is_the_head_by_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    assert newest() == ScriptDirectory.from_config(config).get_current_head()


async def test_the_migrated_tables_are_what_the_models_declare(empty: Database) -> None:
    await upgrade(empty)
    assert await matches_models(empty)


@pytest.mark.parametrize(
    "change",
    [
        'ALTER TABLE "grant" DROP COLUMN name',
        "ALTER TABLE event ADD COLUMN weather VARCHAR(16)",
        "DROP INDEX ix_event_due",
    ],
)
async def test_a_table_that_strayed_from_the_models_is_noticed(empty: Database, change: str) -> None:
    await upgrade(empty)
    async with empty.writing() as session:
        await session.execute(sa.text(change))
    assert not await matches_models(empty)


async def test_a_database_is_current_only_when_it_was_migrated(empty: Database) -> None:
    assert await standing(empty) is not Standing.CURRENT
    await upgrade(empty)
    assert await standing(empty) is Standing.CURRENT
    await downgrade(empty, "base")
    assert await standing(empty) is not Standing.CURRENT


async def test_a_database_that_a_newer_release_has_migrated_is_ahead_and_stays_so(empty: Database) -> None:
    assert await standing(empty) is Standing.BEHIND
    await upgrade(empty)
    assert await standing(empty) is Standing.CURRENT
    async with empty.writing() as session:
        await session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert await standing(empty) is Standing.AHEAD

    await upgrade(empty)

    assert await standing(empty) is Standing.AHEAD
    async with empty.writing() as session:
        await session.execute(sa.text("UPDATE alembic_version SET version_num = 'another'"))
    assert await standing(empty) is Standing.BEHIND


async def test_an_upgrade_of_a_current_database_changes_nothing(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(
            sa.text(
                "INSERT INTO application (id, client_id, api_uri, api_key, created_at, updated_at) VALUES "
                "('018f0000000070008000000000000001', 'kept', 'u', 'eg1.x.y', '2026-01-01', '2026-01-01')"
            )
        )
    await upgrade(database)
    async with database.reading() as session:
        assert (await session.execute(sa.text("SELECT client_id FROM application"))).scalar_one() == "kept"


async def test_two_that_upgrade_at_the_same_time_both_succeed(database_url: str) -> None:
    """As when two containers start on an empty database."""
    both = Database(database_url), Database(database_url)
    try:
        await asyncio.gather(*(upgrade(each) for each in both))
        assert await standing(both[0]) is Standing.CURRENT
        assert await matches_models(both[1])
    finally:
        for each in both:
            await each.close()


async def test_a_migration_that_fails_leaves_nothing(empty: Database) -> None:
    """The first tables can't be made where one of them is there already; those made before it are taken back."""
    async with empty.writing() as session:
        await session.execute(sa.text("CREATE TABLE transition (id INTEGER)"))
    with pytest.raises(sa.exc.DBAPIError):
        await upgrade(empty)
    assert await tables(empty) <= {"transition", "alembic_version"}
    assert await standing(empty) is not Standing.CURRENT


def test_the_migrations_are_shipped_with_the_tables() -> None:
    assert list(VERSIONS.glob("0001*.py"))


def test_a_migration_never_imports_the_models_of_today() -> None:
    """It must still make the tables of its own day when the models have moved on."""
    imported = {
        (path.name, name.partition(".")[0])
        for path in VERSIONS.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported
    assert not {(file, name) for file, name in imported if name in OURS | {"sqlmodel", ""}}
