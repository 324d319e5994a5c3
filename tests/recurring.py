"""What Evergrant does again and again, each as a worker, a beat or the web front does it, on a crowd of grants."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select, update
from sqlmodel import col

from bench.growth.filling import ARCHIVE, RUNNING, credential_of
from ingress.api.grants import GrantQuery
from ingress.api.grants import list_grants as list_by_api
from ingress.campaign_progress import causes, pace_of, standing
from ingress.front import Front
from ingress.grant_lists import list_grants
from ingress.story.command import why
from ingress.story.whole import story
from lifecycle import GrantStatus, Observation
from lifecycle.brake import Braked
from lifecycle.incidents import Scope
from lifecycle.retirement import RetirementPolicy
from models import Campaign, CampaignItem, CampaignStatus, Delivery, Endpoint, Event, Grant, Incident, Notice, Outcome
from models.claims import open_at
from tasks.brakes import room
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.ending import finish_if_done, give_up, stop_if_too_many_failed
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tasks.grant_hints import confirm_expiry, look_twice
from tasks.housekeeping import keep_house
from tasks.incidents import open_incident
from tasks.looking import Look
from tasks.notices.delivering import deliver
from tasks.notices.fanning_out import fan_out
from tasks.notices.secrets import new_secret
from tasks.probing import probe
from tasks.recording import Cause, record
from tasks.retirement_plans import approve, make_plan
from tasks.sync import sync
from tests.bulk import started
from tests.conftest import SetClock
from tests.explaining import IN_PASSING
from worker.runtime import Runtime
from worker.sweeper import sweep

MANY = 50
ASIDE = {IN_PASSING: True}
Work = Callable[[Context], Awaitable[None]]


async def _due(ctx: Context, model: Any, *condition: Any, most: int = MANY) -> Sequence[UUID]:
    wanted = select(col(model.id)).where(open_at(model, ctx.now()), *condition).limit(most)
    async with ctx.database.reading() as session:
        return (await session.scalars(wanted.execution_options(**ASIDE))).all()


async def grants_of(ctx: Context, *condition: Any, most: int = MANY) -> list[Grant]:
    """Read some grants."""
    wanted = select(Grant).where(*condition).limit(most).execution_options(**ASIDE)
    async with ctx.database.reading() as session:
        return list(await session.scalars(wanted))


async def fall(ctx: Context, grants: Sequence[Grant]) -> None:
    """Write down that these grants were just seen as invalid."""
    now, cause = ctx.now(), Cause("sync")
    seen = Observation.of(is_valid=False, blocked=False, at=now)
    assert seen is not None
    async with ctx.database.writing() as session:
        await record(ctx, session, {one.id: (Look(one.id, seen, None, "r"), cause) for one in grants})


async def of_one_credential(ctx: Context, most: int) -> list[Grant]:
    """Grants that a credential of an organisation authenticates, and that work."""
    is_its = col(Grant.credential_id) == credential_of(5)
    return await grants_of(ctx, is_its, col(Grant.status) == GrantStatus.VALID, most=most)


async def sweeps(ctx: Context) -> None:
    """Sweep while much is due, and again when somebody was told of all that may be told of."""
    assert await sweep(ctx)
    await sweep(ctx)


async def looks_at_what_was_told(ctx: Context) -> None:
    """More hints than are looked at one by one: the observer asks what we hold."""
    await confirm_expiry.run(ctx, await _due(ctx, Event))


async def looks_twice(ctx: Context) -> None:
    """A second look, and what it plans."""
    await fall(ctx, await of_one_credential(ctx, 3))
    cast(SetClock, ctx.now).forward(minutes=3)
    await look_twice.run(ctx, await _due(ctx, Event, col(Event.kind) == "grant.recheck"))


async def detects_what_failed_together(ctx: Context) -> None:
    """A handful, whose share of its credential counts; then so many that an incident is opened, and holds notices."""
    await fall(ctx, await of_one_credential(ctx, 6))
    await fall(ctx, await of_one_credential(ctx, 30))


async def probes_an_incident(ctx: Context) -> None:
    """One that was opened by a credential's grants."""
    await fall(ctx, await of_one_credential(ctx, 40))
    await _probe(ctx)


async def probes_silent_webhooks(ctx: Context) -> None:
    """Wait for notifications to come again."""
    async with ctx.database.writing() as session:
        await open_incident(ctx, session, Scope.WEBHOOK, "webhooks", "nothing comes", now=ctx.now())
    await _probe(ctx)


async def _probe(ctx: Context) -> None:
    cast(SetClock, ctx.now).forward(minutes=5)
    due = await _due(ctx, Incident)
    assert due
    await probe.run(ctx, due)


async def syncs(ctx: Context) -> None:
    """Compare with a Nylas that lists other grants, and judge the webhooks by that."""
    await sync(ctx)


async def fans_notices_out(ctx: Context) -> None:
    """Make deliveries of what is due to be told."""
    ids = await _due(ctx, Notice)
    assert ids
    await fan_out.run(ctx, ids)


async def delivers(ctx: Context) -> None:
    """Send to an address that may not be sent to: the rows are claimed, read, and put off."""
    async with ctx.database.writing() as session:
        endpoint = await session.get_one(Endpoint, ARCHIVE)
        endpoint.url = "https://127.0.0.1:9/"
        ctx.keys.seal(endpoint, "secret", new_secret())
    await deliver.run(ctx, await _due(ctx, Delivery))
    await ctx.outbound.close()


async def counts_for_the_brakes(ctx: Context) -> None:
    """How much of each kind of work may still be done this hour."""
    async with ctx.database.reading() as session:
        for kind in Braked:
            await room(session, ctx, kind, now=ctx.now())


async def reauthenticates(ctx: Context) -> None:
    """The items of a chunk, and what follows a chunk."""
    await reauthenticate.run(ctx, await _due(ctx, CampaignItem))
    async with ctx.database.writing() as session:
        running = update(Campaign).where(col(Campaign.id) == RUNNING)
        await session.execute(running.values(max_failures="5%"))
    await finish_if_done(ctx, RUNNING)
    await stop_if_too_many_failed(ctx, RUNNING)


async def plans_campaigns(ctx: Context) -> None:
    """For a credential, for all that expired, and for a list of names and addresses."""
    await started(ctx, CampaignRequest(filter=GrantFilter(credential_id=credential_of(7))))
    await started(ctx, CampaignRequest(filter=GrantFilter(status=GrantStatus.EXPIRED)))
    some = await grants_of(ctx, col(Grant.provider) == "imap")
    await started(ctx, CampaignRequest(grants=[one.email or "" for one in some] + [one.id for one in some]))


async def gives_campaigns_up(ctx: Context) -> None:
    """The open items of a cancelled campaign are ended."""
    async with ctx.database.writing() as session:
        running = update(Campaign).where(col(Campaign.id) == RUNNING)
        await session.execute(running.values(status=CampaignStatus.CANCELLED))
    await give_up(ctx, RUNNING)


async def shows_progress(ctx: Context) -> None:
    """What `evergrant campaigns show` and the API's stream of events ask for each second."""
    async with ctx.database.reading() as session:
        campaign = await session.get_one(Campaign, RUNNING)
        campaign.ask_users = True
        with session.no_autoflush:
            await standing(session, campaign)
            await pace_of(session, campaign, now=ctx.now())
            await causes(session, campaign)


async def keeps_house(ctx: Context) -> None:
    """Secrets of lists are wiped after a week, and a campaign whose list was not read is given up."""
    async with ctx.database.writing() as session:
        ended = select(CampaignItem).where(col(CampaignItem.settled_at).is_not(None)).limit(1)
        one = (await session.scalars(ended.execution_options(**ASIDE))).one()
        one.secret, one.settled_at, one.outcome = "eg1.x.y", ctx.now() - timedelta(days=8), Outcome.FAILED
        running = update(Campaign).where(col(Campaign.id) == RUNNING)
        await session.execute(running.values(status=CampaignStatus.PLANNED, filter={"list": True}))
    cast(SetClock, ctx.now).forward(days=30)
    await keep_house.run(ctx)
    async with ctx.database.reading() as session:
        assert (await session.get_one(Campaign, RUNNING)).status is CampaignStatus.CANCELLED


async def retires(ctx: Context) -> None:
    """Plan, agree, and let the sweep ring for it."""
    planned = await make_plan(ctx, RetirementPolicy(timedelta(days=7)))
    assert planned.plan
    assert await approve(ctx, planned.plan.id, by="an admin")
    await sweep(ctx)


async def lists_grants_by_the_api(ctx: Context) -> None:
    """A page in the middle, of all, of those that expired, and by an address."""
    front = Front(cast(Any, None), ctx, cast(Any, None), ())
    first = await list_by_api(front, GrantQuery())
    for more in ({"cursor": first.next_cursor}, {"status": "expired"}, {"email": "user77@EXAMPLE.com"}):
        page = await list_by_api(front, GrantQuery.model_validate(more))
        assert page.data


async def lists_grants_by_the_command(ctx: Context) -> None:
    """A page of all, and of those that expired."""
    for status in (None, "expired"):
        filters = {"status": status, "provider": None, "missing_scope": None}
        await list_grants(_runtime(ctx), filters, after=None, limit=100, as_json=True)


async def tells_why(ctx: Context) -> None:
    """By the address, as a human asks."""
    [grant] = await grants_of(ctx, col(Grant.status) == GrantStatus.EXPIRED, most=1)
    await why(_runtime(ctx), (grant.email or "").upper(), as_json=True)


async def tells_the_story(ctx: Context) -> None:
    """By the id, as the API does."""
    [grant] = await grants_of(ctx, col(Grant.status) == GrantStatus.EXPIRED, most=1)
    async with ctx.database.reading() as session:
        assert await story(session, grant, now=ctx.now())


def _runtime(ctx: Context) -> Runtime:
    application, nothing = cast(Any, SimpleNamespace(id=ctx.application_id)), cast(Any, None)
    return Runtime(nothing, ctx, application, nothing, None, nothing, nothing, nothing)
