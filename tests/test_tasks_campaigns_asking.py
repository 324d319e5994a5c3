"""Campaigns that ask users: one link, one notice, an item that waits, and its end."""

from models import CampaignStatus, NoticeKind, Outcome
from models.kinds import GRANT_UPDATED
from tasks.campaigns.asking import WAITED_FOR
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.requests import CampaignRequest
from tests.bulk import ends, run_out, standing, started
from tests.life import Life, life
from tests.stories import at_nylas, hint, known, the_items

__all__ = ["life"]

ASKING = CampaignRequest(filter=GrantFilter(), ask_users=True)


async def test_the_user_of_a_grant_that_works_is_asked_once_with_a_link(life: Life) -> None:
    """Nothing else can renew it, and a scope is missing, say."""
    [grant_id] = await known(life.ctx, life.sim)
    await life.passes(days=2)
    life.product.took.clear()

    campaign_id = await started(life.ctx, ASKING)
    await run_out(life.ctx, life.rings)
    await life.passes(days=3)

    [asked] = life.product.of("grant.reauth_required")
    assert asked["grant_id"] == grant_id
    assert "/reauth/" in asked["link"]
    [item] = await the_items(life.ctx, campaign_id)
    assert (item.settled_at, item.reason) == (None, "its user was asked to sign in")
    assert await standing(life.ctx, campaign_id) is CampaignStatus.RUNNING


async def test_who_does_not_come_within_two_weeks_is_written_down_as_failed(life: Life) -> None:
    [grant_id] = await known(life.ctx, life.sim)
    campaign_id = await started(life.ctx, ASKING)
    await run_out(life.ctx, life.rings)
    life.clock.forward(seconds=WAITED_FOR.total_seconds())
    await life.work()
    await run_out(life.ctx, life.rings)

    assert await ends(life.ctx, campaign_id) == {grant_id: (Outcome.FAILED, "its user did not sign in within 14 days")}
    assert await standing(life.ctx, campaign_id) is CampaignStatus.FINISHED


async def test_the_reminder_of_an_expired_grant_comes_at_once_instead_of_another(life: Life) -> None:
    [grant_id] = await known(life.ctx, life.sim)
    await life.passes(days=2)
    at_nylas(life.sim, grant_id).grant_status = "invalid"
    await hint(life.ctx, GRANT_UPDATED, grant_id)
    await life.passes(hours=5)
    life.product.took.clear()

    await started(life.ctx, ASKING)
    await run_out(life.ctx, life.rings)
    await life.passes(minutes=1)
    assert life.product.kinds == [NoticeKind.REAUTH_REQUIRED.value]
    await life.passes(days=3)
    attempts = [told["attempt"] for told in life.product.of("grant.reauth_required")]
    assert attempts == sorted(set(attempts)), "the others come on their days"
