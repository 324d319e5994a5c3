"""Poison: a row at which the work fails again and again is set aside in the end, and the others end as they should."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from models import CampaignItem, Claimable, Delivery, Event, Notice, Outcome
from models.claims import MOST_CRASHES
from models.kinds import GRANT_RECHECK, GRANT_UPDATED, OAUTH_RETURNED, REAUTH_REQUESTED
from simulator import Running
from tasks.campaigns.working import reauthenticate
from tasks.claiming import TOGETHER
from tasks.context import Context
from tasks.oauth_callback import exchange_codes
from tests.bulk import ACCOUNT, started
from tests.conftest import Rings, SetClock
from tests.receiving import TASKS, a_notice, a_product, reaching, told_at
from tests.stories import came_back, hints, known
from worker.sweeper import sweep

WORK = TASKS | {REAUTH_REQUESTED: reauthenticate.run, OAUTH_RETURNED: exchange_codes.run}
GOOD_END = "NEW.id = '{row}' AND NEW.outcome IS NOT NULL AND NEW.outcome != 'set_aside'"
SQLITE = (f"CREATE TRIGGER poison BEFORE UPDATE ON {{table}} WHEN {GOOD_END} BEGIN SELECT RAISE(ABORT, 'poison'); END",)
POSTGRES = (
    "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$",
    f"CREATE TRIGGER poison BEFORE UPDATE ON {{table}} FOR EACH ROW WHEN ({GOOD_END}) EXECUTE FUNCTION poison()",
)


@asynccontextmanager
async def poisoned(ctx: Context, model: type[Claimable], row: UUID) -> AsyncIterator[None]:
    """Let the database refuse each good end of one row, and so all that is written together with it."""
    sqlite, table = ctx.database.is_sqlite, str(model.__tablename__)
    await execute(ctx, *(each.format(table=table, row=row.hex) for each in (SQLITE if sqlite else POSTGRES)))
    try:
        yield
    finally:
        await execute(ctx, "DROP TRIGGER poison" if sqlite else "DROP FUNCTION poison() CASCADE")


async def execute(ctx: Context, *statements: str) -> None:
    """Run statements of the database's own."""
    async with ctx.database.writing() as session:
        for statement in statements:
            await session.execute(text(statement))


async def ends(ctx: Context, model: type[Claimable]) -> list[Any]:
    """All rows of a table."""
    async with ctx.database.reading() as session:
        return list((await session.scalars(select(model).order_by(col(model.id)))).all())


async def work_to_the_end(ctx: Context, model: type[Claimable], clock: SetClock, rings: Rings) -> list[Any]:
    """Sweep and work, whatever fails, until each row of the table is settled; time goes on where nothing is due."""
    for _ in range(2_000):
        if not rings.heard:
            await sweep(ctx)
        heard, rings.heard = rings.heard, []
        due = [(kind, ids) for kind, ids in heard if kind in WORK]
        await asyncio.gather(*(WORK[kind](ctx, ids) for kind, ids in due), return_exceptions=True)
        if not due:
            rows = await ends(ctx, model)
            if all(row.settled_at for row in rows):
                return rows
            clock.forward(minutes=1)
    raise AssertionError("it never came to an end")


async def written(ctx: Context, sim: Running, kind: str, many: int) -> None:
    """Write so many rows that are due."""
    match kind:
        case "item":
            await known(ctx, sim, many, status="invalid", credential_id=ACCOUNT)
            await started(ctx)
        case "notice" | "delivery":
            for _ in range(many):
                await a_notice(ctx)
        case "oauth.returned":
            for _ in range(many):
                await came_back(ctx)
        case _:
            await hints(ctx, kind, *await known(ctx, sim, many))


@pytest.mark.parametrize(
    ("model", "kind", "many"),
    [
        (Event, GRANT_UPDATED, TOGETHER),
        (Event, GRANT_RECHECK, 20),
        (Event, OAUTH_RETURNED, 20),
        (CampaignItem, "item", 20),
        (Notice, "notice", 20),
        (Delivery, "delivery", 20),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_one_row_of_poison_among_many_keeps_none_of_the_others(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings, model: type[Any], kind: str, many: int
) -> None:
    async with a_product() as product, reaching(ctx) as reach:
        await told_at(reach, product)
        await written(reach, sim, kind, many)
        if kind == "delivery":
            await work_to_the_end(reach, Notice, clock, rings)
            await execute(reach, "UPDATE delivery SET settled_at = NULL, outcome = NULL, attempts = 0")
        of_kind = [row for row in await ends(reach, model) if model is not Event or row.kind == kind]
        bad = of_kind[len(of_kind) // 2].id
        async with poisoned(reach, model, bad):
            rows = await work_to_the_end(reach, model, clock, rings)

    ended = {row.id: row for row in rows}
    assert ended[bad].outcome is Outcome.SET_ASIDE
    assert f"crashed {MOST_CRASHES} times" in (ended[bad].reason or "")
    assert {ended[row.id].outcome for row in of_kind if row.id != bad} == {Outcome.DONE}
