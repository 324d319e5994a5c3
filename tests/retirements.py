"""Small builders that the stories of retirement share: grants long dead, plans, and what came of them."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.brake import BrakeLimits
from lifecycle.retirement import RetirementPolicy
from models import Grant, Outcome, Retirement, RetirementItem, RetirementStatus
from simulator import Running
from tasks.context import Context
from tasks.retirement_plans import approve, make_plan
from tasks.retiring import retire
from tests.conftest import Rings, SetClock
from tests.stories import at_nylas, known

ONE_GRANT = "/v3/grants/*"
MONTH = RetirementPolicy(timedelta(days=30))


def retiring(ctx: Context, policy: RetirementPolicy | None = MONTH, *, most_an_hour: int = 100) -> Context:
    """The same worker with this policy of retirement."""
    return replace(
        ctx, policy=replace(ctx.policy, retirement=policy, limits=replace(BrakeLimits(), deletions=most_an_hour))
    )


async def dead(ctx: Context, sim: Running, clock: SetClock, number: int = 1) -> list[str]:
    """So many grants whose expiry was confirmed 31 days ago."""
    grant_ids = await known(ctx, sim, number)
    async with ctx.database.writing() as session:
        for grant_id in grant_ids:
            at_nylas(sim, grant_id).grant_status = "invalid"
            grant = await session.get_one(Grant, grant_id)
            grant.status = GrantStatus.EXPIRED
            grant.expired_at = grant.expiry_seen_at = grant.confirm_at = grant.confirmed_at = clock()
    clock.forward(days=31)
    return sorted(grant_ids)


async def planned(ctx: Context, policy: RetirementPolicy = MONTH) -> Retirement:
    plan = (await make_plan(ctx, policy)).plan
    assert plan is not None
    return plan


async def approved(ctx: Context, policy: RetirementPolicy = MONTH) -> Retirement:
    plan = await planned(ctx, policy)
    assert await approve(ctx, plan.id, by="cli")
    return plan


async def the_items(ctx: Context, plan: Retirement) -> list[RetirementItem]:
    of_it = select(RetirementItem).where(col(RetirementItem.retirement_id) == plan.id)
    async with ctx.database.reading() as session:
        return list((await session.scalars(of_it.order_by(col(RetirementItem.grant_id)))).all())


async def ends(ctx: Context, plan: Retirement) -> list[tuple[Outcome | None, str | None]]:
    return [(item.outcome, item.reason) for item in await the_items(ctx, plan)]


async def status_of(ctx: Context, plan: Retirement) -> RetirementStatus:
    async with ctx.database.reading() as session:
        return (await session.get_one(Retirement, plan.id)).status


async def run_out(ctx: Context, rings: Rings) -> None:
    while rings.heard:
        _, ids = rings.heard.pop(0)
        await retire.run(ctx, ids)


def deletions(sim: Running) -> int:
    return sim.state.calls.by_path.get("DELETE /v3/grants/{id}", 0)
