"""What is written of grants: its history is in the order in which it was written."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlmodel import col

from lifecycle import GrantStatus, Observation
from models import Transition
from models.bulk import read_grants
from simulator import Running
from tasks.context import Context
from tasks.looking import Look
from tasks.recording import Cause, record
from tests.conftest import SetClock
from tests.stories import known

SECOND = timedelta(seconds=1)


def look(grant_id: str, *, is_valid: bool, at: datetime) -> dict[str, tuple[Look, Cause]]:
    """What a look showed, as it is recorded."""
    seen = Observation.of(is_valid=is_valid, blocked=False, at=at)
    assert seen
    return {grant_id: (Look(grant_id, seen, None, "a request"), Cause("sync"))}


async def test_who_waited_for_a_grant_writes_a_later_moment_than_who_held_it(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim, 1)
    began = clock()

    async def recovers() -> None:
        async with ctx.database.writing() as session:
            await record(ctx, session, look(grant_id, is_valid=True, at=began + 2 * SECOND))

    async with ctx.database.writing() as session:
        await read_grants(session, [grant_id], to_change=True)
        waiting = asyncio.create_task(recovers())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        clock.forward(seconds=30)
        await record(ctx, session, look(grant_id, is_valid=False, at=began + SECOND))
    await waiting

    async with ctx.database.reading() as session:
        wanted = select(Transition).where(col(Transition.at) > began).order_by(col(Transition.at), col(Transition.id))
        history = (await session.scalars(wanted)).all()
    assert [change.new_status for change in history] == [GrantStatus.EXPIRED, GrantStatus.VALID]
    assert [change.at for change in history] == [began + 30 * SECOND] * 2
