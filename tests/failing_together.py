"""Small builders for the stories of incidents: grants that fail together, what is told of it, and time that passes."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from models import Event, HeldBy, Incident, Notice, NoticeKind
from models.claims import open_at
from models.kinds import GRANT_EXPIRED, GRANT_RECHECK
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import confirm_expiry, look_twice
from tasks.probing import probe
from tests.conftest import SetClock
from tests.stories import at_nylas, hints

ACCOUNT = "service-account"


async def fail(ctx: Context, sim: Running, *grant_ids: str) -> None:
    """Let grants become invalid at Nylas, which tells us, and let us look."""
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"
    await confirm_expiry.run(ctx, await hints(ctx, GRANT_EXPIRED, *grant_ids))


def work_again(sim: Running, *grant_ids: str) -> None:
    """Let grants become valid at Nylas, by themselves: nobody is told."""
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "valid"


async def unsettled(ctx: Context, kind: str) -> Sequence[UUID]:
    """The events of a kind that are due."""
    due = select(col(Event.id)).where(col(Event.kind) == kind, open_at(Event, ctx.now()))
    async with ctx.database.reading() as session:
        return (await session.scalars(due)).all()


async def second_looks(ctx: Context) -> int:
    """Do the second looks that are due; return how many they were."""
    ids = await unsettled(ctx, GRANT_RECHECK)
    await look_twice.run(ctx, ids)
    return len(ids)


async def probes(ctx: Context, clock: SetClock, *, minutes: int = 1, times: int = 1) -> None:
    """Let time pass, and look at what is open as often as it is due."""
    for _ in range(times):
        clock.forward(minutes=minutes)
        async with ctx.database.reading() as session:
            due = (await session.scalars(select(col(Incident.id)).where(open_at(Incident, ctx.now())))).all()
        await probe.run(ctx, due)


async def incidents(ctx: Context) -> list[Incident]:
    """Read all incidents, oldest first."""
    async with ctx.database.reading() as session:
        return list((await session.scalars(select(Incident).order_by(col(Incident.id)))).all())


async def the_incident(ctx: Context) -> Incident:
    """Read the only one."""
    [incident] = await incidents(ctx)
    return incident


async def notices(ctx: Context, *kinds: NoticeKind) -> list[Notice]:
    """Read all notices, or those of some kinds, in the order they were made."""
    wanted = select(Notice).order_by(col(Notice.created_at), col(Notice.id))
    async with ctx.database.reading() as session:
        return [one for one in await session.scalars(wanted) if one.kind in kinds or not kinds]


async def goes_out(ctx: Context) -> Counter[str]:
    """Count what may be told by now, by kind, but for grants that are new: neither held nor settled, and due."""
    return Counter(
        one.kind.value
        for one in await notices(ctx)
        if one.held_by is None
        and one.settled_at is None
        and one.due_at <= ctx.now()
        and one.kind is not NoticeKind.VALID
    )


async def held(ctx: Context) -> Counter[HeldBy]:
    """Count what is held, by what holds it."""
    return Counter(one.held_by for one in await notices(ctx) if one.held_by and one.settled_at is None)


async def told_of(ctx: Context, kind: NoticeKind) -> set[str | None]:
    """The grants of which this may be told by now."""
    return {
        one.grant_id
        for one in await notices(ctx, kind)
        if one.held_by is None and one.settled_at is None and one.due_at <= ctx.now()
    }
