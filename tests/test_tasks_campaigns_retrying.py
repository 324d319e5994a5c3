"""What failed in a campaign is tried again, also if the process dies in the middle of opening it."""

from dataclasses import replace
from datetime import datetime

import pytest

from models import Campaign, CampaignItem, CampaignStatus, Outcome, Way
from models.columns import new_id
from simulator import Running
from tasks.campaigns import steering
from tasks.context import Context
from tests.conftest import SetClock
from tests.stories import known, stored, the_campaign, the_items


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
