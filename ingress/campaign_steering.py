"""The commands that pause campaigns, let them go on, give them up, and try again what failed."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ingress.campaign_lists import find_campaign
from ingress.terminal import agree, fail, say
from models import Campaign
from tasks.campaigns import steering
from tasks.campaigns.steering import NotNow
from worker.runtime import Runtime

T = TypeVar("T")

ACTOR = "an admin"


async def pause_campaign(runtime: Runtime, name: str) -> None:
    """Stop calling Nylas for it. Exits with 1 where there is nothing to pause."""
    campaign = await find_campaign(runtime, name)
    await _or_exit(campaign, lambda: steering.pause(runtime.context, campaign.id, actor=ACTOR))
    say(f"Campaign {campaign.id} is paused. (evergrant campaigns resume {campaign.id})")


async def resume_campaign(runtime: Runtime, name: str) -> None:
    """Let it go on. Exits with 1 where there is nothing to resume."""
    campaign = await find_campaign(runtime, name)
    await _or_exit(campaign, lambda: steering.resume(runtime.context, campaign.id, actor=ACTOR))
    say(f"Campaign {campaign.id} goes on.")


async def cancel_campaign(runtime: Runtime, name: str, *, yes: bool) -> None:
    """Give up what is left of it. Exits with 1 where there is nothing to cancel."""
    campaign = await find_campaign(runtime, name)
    agree(f"Give up what is left of campaign {campaign.id}? It can't go on afterwards.", yes=yes)
    await _or_exit(campaign, lambda: steering.cancel(runtime.context, campaign.id, actor=ACTOR))
    say(f"Campaign {campaign.id} is cancelled; what is under way ends as it does.")


async def retry_campaign(runtime: Runtime, name: str) -> None:
    """Try again what failed, and nothing else. Exits with 1 where nothing did."""
    campaign = await find_campaign(runtime, name)
    number = await _or_exit(campaign, lambda: steering.retry(runtime.context, campaign.id, actor=ACTOR))
    if not number:
        fail(f"Nothing of campaign {campaign.id} failed that could be tried again.")
    say(f"{number} that failed are tried again.")


async def _or_exit(campaign: Campaign, steer: Callable[[], Awaitable[T]]) -> T:
    try:
        return await steer()
    except NotNow as error:
        fail(f"Campaign {campaign.id}: {error}.")
