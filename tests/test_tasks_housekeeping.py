"""Housekeeping: secrets are forgotten, lists that nobody reads any more are given up, and SQLite counts its rows."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignStatus, Notice, NoticeKind, Outcome
from models.columns import new_id
from nylas_api import RefreshToken
from simulator import Running
from tasks import housekeeping
from tasks.campaigns.ending import SECRETS_ARE_KEPT
from tasks.campaigns.lines import Line
from tasks.campaigns.listed import GivenUp, write_listed
from tasks.campaigns.planning import ask_for
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.steering import retry
from tasks.campaigns.unread import PATIENCE
from tasks.context import Context
from tasks.housekeeping import keep_house
from tests.bulk import CUSTOM, run_out, standing
from tests.conftest import Rings, SetClock
from tests.neighbours import neighbour
from tests.statements import statements, writes
from tests.stories import at_nylas, fails, known, stored, the_campaign, the_items

A_MINUTE = timedelta(minutes=1)


async def being_read(ctx: Context, *lines: Line) -> Campaign:
    """A campaign whose list is read, as far as these lines."""
    campaign = Campaign(
        id=new_id(),
        application_id=ctx.application_id,
        status=CampaignStatus.PLANNED,
        filter={"list": True},
        created_at=ctx.now(),
    )
    await stored(ctx, campaign)
    await read_on(ctx, campaign, lines)
    return campaign


async def read_on(ctx: Context, campaign: Campaign, lines: Sequence[Line]) -> None:
    """Write the items of these lines."""
    async with ctx.database.writing() as session:
        assert not await write_listed(session, ctx, campaign, lines, now=ctx.now())


async def start(ctx: Context, campaign: Campaign) -> None:
    """Let a list that was read to its end be worked on."""
    async with ctx.database.writing() as session:
        events = await ask_for(session, campaign, now=ctx.now())
    await start_campaigns.run(ctx, list(events))


async def refused_once(ctx: Context, sim: Running, rings: Rings) -> UUID:
    """A campaign whose one item, which brought its own secret, has failed."""
    [grant_id] = await known(ctx, sim, 1, status="invalid")
    token = RefreshToken.model_validate({"refresh_token": f"1//HIDDEN:{at_nylas(sim, grant_id).email}"})
    campaign = await being_read(ctx, Line(1, grant_id=grant_id, settings=token))
    await fails(sim, CUSTOM, status=400, count=1)
    await start(ctx, campaign)
    await run_out(ctx, rings)
    [item] = await the_items(ctx, campaign.id)
    assert (item.outcome, str(item.secret).startswith("eg1.")) == (Outcome.FAILED, True)
    return campaign.id


async def test_the_secret_of_what_failed_is_forgotten_after_a_week(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    campaign_id = await refused_once(ctx, sim, rings)
    clock.time += SECRETS_ARE_KEPT - A_MINUTE
    await keep_house.run(ctx)
    assert [bool(item.secret) for item in await the_items(ctx, campaign_id)] == [True]
    clock.time += 2 * A_MINUTE
    await keep_house.run(ctx)
    assert [item.secret for item in await the_items(ctx, campaign_id)] == [None]


async def test_what_is_tried_again_within_the_week_still_has_its_secret(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    """And keeps it for as long as it is open."""
    campaign_id = await refused_once(ctx, sim, rings)
    clock.time += SECRETS_ARE_KEPT - A_MINUTE
    assert await retry(ctx, campaign_id, actor="an admin") == 1
    clock.time += 2 * A_MINUTE
    await keep_house.run(ctx)
    await run_out(ctx, rings)
    [item] = await the_items(ctx, campaign_id)
    assert (item.outcome, item.secret) == (Outcome.DONE, None)


async def test_a_list_that_nobody_reads_any_more_gives_its_grants_free(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    one, two = await known(ctx, sim, 2)
    campaign = await being_read(ctx, Line(1, grant_id=one))
    clock.time += PATIENCE - A_MINUTE
    await read_on(ctx, campaign, [Line(2, grant_id=two)])
    clock.time += PATIENCE
    await keep_house.run(ctx)
    assert await standing(ctx, campaign.id) is CampaignStatus.PLANNED, "its last line came just an hour ago"

    clock.time += A_MINUTE
    await keep_house.run(ctx)

    over = await the_campaign(ctx, campaign.id)
    assert (over.status, over.finished_at) == (CampaignStatus.CANCELLED, clock())
    assert over.reason == "cancelled by Evergrant: its list was not read to the end"
    assert [item.outcome for item in await the_items(ctx, campaign.id)] == [Outcome.CANCELLED] * 2
    async with ctx.database.reading() as session:
        told = await session.scalars(select(Notice).where(col(Notice.campaign_id) == campaign.id))
        assert [notice.kind for notice in told] == [NoticeKind.CAMPAIGN_FINISHED]
    await being_read(ctx, Line(1, grant_id=one))


async def test_whoever_reads_on_after_that_is_told_so(ctx: Context, sim: Running, clock: SetClock) -> None:
    one, two = await known(ctx, sim, 2)
    campaign = await being_read(ctx, Line(1, grant_id=one))
    clock.time += PATIENCE + A_MINUTE
    await keep_house.run(ctx)
    with pytest.raises(GivenUp, match="was given up while its list was read"):
        await read_on(ctx, campaign, [Line(2, grant_id=two)])
    assert [item.grant_id for item in await the_items(ctx, campaign.id)] == [one]


@pytest.mark.parametrize("asked_for", ["by a list", "by a filter"])
async def test_a_campaign_that_only_waits_for_a_worker_is_not_given_up(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings, asked_for: str
) -> None:
    [grant_id] = await known(ctx, sim, 1)
    campaign = await being_read(ctx, Line(1, grant_id=grant_id))
    async with ctx.database.writing() as session:
        if asked_for == "by a list":
            await ask_for(session, campaign, now=ctx.now())
        else:
            (await session.get_one(Campaign, campaign.id)).filter = {}
    clock.forward(days=3)
    await keep_house.run(ctx)
    assert await standing(ctx, campaign.id) is CampaignStatus.PLANNED


async def test_another_applications_lists_are_left_to_its_own_workers(ctx: Context, clock: SetClock) -> None:
    theirs = await neighbour(ctx)
    campaign = await being_read(theirs)
    clock.forward(days=3)
    await keep_house.run(ctx)
    assert await standing(ctx, campaign.id) is CampaignStatus.PLANNED
    await keep_house.run(theirs)
    assert await standing(ctx, campaign.id) is CampaignStatus.CANCELLED


async def test_what_fails_takes_nothing_else_of_the_housekeeping_with_it(
    ctx: Context, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails_always(_ctx: Context) -> None:
        raise ValueError("of the first work")

    monkeypatch.setattr(housekeeping, "forget_secrets", fails_always)
    campaign = await being_read(ctx)
    clock.forward(days=3)
    with pytest.raises(ValueError, match="of the first work"):
        await keep_house.run(ctx)
    assert await standing(ctx, campaign.id) is CampaignStatus.CANCELLED


async def test_connections_that_are_open_hear_what_sqlite_has_counted(ctx: Context, sim: Running) -> None:
    """It goes by the index of the ids once it knows that all grants are of one application."""
    if not ctx.database.is_sqlite:
        pytest.skip("PostgreSQL counts by itself")
    page = "SELECT * FROM \"grant\" WHERE application_id = 'a' ORDER BY id LIMIT 5"
    async with ctx.database.engine.connect() as connection:
        for grants in (0, 200):
            await known(ctx, sim, grants)
            await keep_house.run(ctx)
            await connection.exec_driver_sql(page)
            steps = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {page} -- of {grants}")).all()
            await connection.rollback()
    assert [step.detail for step in steps] == ["SCAN grant USING INDEX sqlite_autoindex_grant_1"]


async def test_sqlite_is_not_kept_from_writing_to_count_what_it_knows(ctx: Context, sim: Running) -> None:
    await known(ctx, sim, 200)
    for counts in (True, False):
        async with statements(ctx) as seen:
            await keep_house.run(ctx)
        assert bool(writes(seen)) is (counts and ctx.database.is_sqlite)
