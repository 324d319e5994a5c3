"""Two applications that share a database: the processes of each ring for its own rows, and end what is its own."""

from uuid import UUID

from lifecycle.incidents import Scope
from models import Campaign, CampaignStatus, Retirement, RetirementItem, RetirementStatus
from models.columns import new_id
from models.kinds import GRANT_UPDATED, INCIDENT_PROBE, NOTICE_DUE, RETIREMENT_APPROVED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import look_at_updated
from tasks.incidents import open_incident
from tests.bulk import standing
from tests.conftest import Rings, SetClock
from tests.neighbours import neighbour
from tests.stories import hint, known, outcomes, stored, the_campaign
from worker.sweeper import sweep


async def a_plan(ctx: Context, *grant_ids: str) -> UUID:
    """A plan of retirement that was agreed to."""
    plan = Retirement(
        id=new_id(), application_id=ctx.application_id, status=RetirementStatus.APPROVED, created_at=ctx.now()
    )
    await stored(ctx, plan)
    await stored(ctx, *(RetirementItem(retirement_id=plan.id, grant_id=grant, due_at=ctx.now()) for grant in grant_ids))
    return plan.id


async def a_campaign(ctx: Context, status: CampaignStatus) -> UUID:
    """A campaign with nothing left to do."""
    campaign = Campaign(id=new_id(), application_id=ctx.application_id, status=status, created_at=ctx.now())
    await stored(ctx, campaign)
    return campaign.id


async def test_a_sweep_rings_for_nothing_of_another_application(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    theirs = await neighbour(ctx)
    await a_plan(theirs, *await known(ctx, sim, 1))
    await hint(theirs, GRANT_UPDATED, "g1")
    async with ctx.database.writing() as session:
        assert await open_incident(theirs, session, Scope.CONNECTOR, "google", "all fail", now=clock())
    clock.forward(hours=1)

    assert await sweep(ctx) == 0
    assert rings.heard == []
    assert await sweep(theirs) == 4
    assert {kind for kind, _ in rings.heard} == {GRANT_UPDATED, RETIREMENT_APPROVED, INCIDENT_PROBE, NOTICE_DUE}


async def test_a_sweep_ends_nothing_of_another_application(ctx: Context, clock: SetClock) -> None:
    theirs = await neighbour(ctx)
    running, cancelled = [
        await a_campaign(theirs, status) for status in (CampaignStatus.RUNNING, CampaignStatus.CANCELLED)
    ]
    plan = await a_plan(theirs)

    async def plan_ended() -> bool:
        async with ctx.database.reading() as session:
            return (await session.get_one(Retirement, plan)).status is RetirementStatus.FINISHED

    await sweep(ctx)
    assert await standing(ctx, running) is CampaignStatus.RUNNING
    assert (await the_campaign(ctx, cancelled)).finished_at is None
    assert not await plan_ended()

    await sweep(theirs)
    assert await standing(ctx, running) is CampaignStatus.FINISHED
    assert (await the_campaign(ctx, cancelled)).finished_at == clock()
    assert await plan_ended()


async def test_a_task_takes_no_hint_of_another_application_along(ctx: Context, sim: Running) -> None:
    [grant_id] = await known(ctx, sim, 1)
    ours = await hint(ctx, GRANT_UPDATED, grant_id)
    theirs = await hint(await neighbour(ctx), GRANT_UPDATED, grant_id)
    await look_at_updated.run(ctx, [ours])
    assert [bool(outcome) for outcome in await outcomes(ctx, [ours, theirs])] == [True, False]
