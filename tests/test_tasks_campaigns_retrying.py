"""What failed in a campaign is tried again: by itself where that may help, and by an admin who asks for it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from models import Campaign, CampaignItem, CampaignStatus, Outcome, Way
from models.columns import new_id
from simulator import Running
from tasks.campaigns import steering
from tasks.campaigns.working import reauthenticate
from tasks.context import ONE_IS_REFUSED, Context
from tests.bulk import ACCOUNT, CUSTOM, started
from tests.conftest import SetClock
from tests.stories import fails, known, stored, the_campaign, the_items


class Died(Exception):
    """The process is gone."""


async def test_a_retry_that_dies_halfway_leaves_a_campaign_that_runs(
    ctx: Context, sim: Running, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "ITEMS_A_TRANSACTION", 1)
    grants = await known(ctx, sim, 3)
    finished = Campaign(
        id=new_id(),
        application_id=ctx.application_id,
        status=CampaignStatus.FINISHED,
        created_at=clock(),
        finished_at=clock(),
        total=3,
    )
    await stored(ctx, finished)
    for grant_id in grants:
        item = CampaignItem(campaign_id=finished.id, grant_id=grant_id, way=Way.CREDENTIAL, due_at=clock())
        item.settled_at, item.outcome = clock(), Outcome.FAILED
        await stored(ctx, item)
    clock.forward(seconds=1)
    looks = iter(range(100))

    def dies() -> datetime:
        if next(looks) == 2:
            raise Died
        return clock()

    with pytest.raises(Died):
        await steering.retry(replace(ctx, now=dies), finished.id, actor="an admin")

    campaign = await the_campaign(ctx, finished.id)
    assert (campaign.status, campaign.finished_at) == (CampaignStatus.RUNNING, None)
    assert len([item for item in await the_items(ctx, finished.id) if item.settled_at is None]) == 1
    assert await steering.retry(ctx, finished.id, actor="an admin") == 2
    assert (await the_campaign(ctx, finished.id)).reason == "2 tried again by an admin"


async def test_a_mailbox_that_is_refused_while_the_key_is_good_fails_only_when_that_has_lasted_for_a_minute(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    await known(ctx, sim, status="invalid", credential_id=ACCOUNT)
    campaign_id = await started(ctx)
    await fails(sim, CUSTOM, status=401)
    began, times = clock(), 0

    [item] = await the_items(ctx, campaign_id)
    while item.settled_at is None:
        clock.forward(seconds=max((item.due_at - clock()).total_seconds(), 0.0))
        await reauthenticate.run(ctx, [item.id])
        [item] = await the_items(ctx, campaign_id)
        times += 1

    assert times == ONE_IS_REFUSED
    assert clock() - began > timedelta(minutes=1)
    assert (item.outcome, str(item.reason)[:18]) == (Outcome.FAILED, "Nylas answered 401")
    assert (await the_campaign(ctx, campaign_id)).status is CampaignStatus.FINISHED
