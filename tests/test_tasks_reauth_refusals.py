"""A provider that refuses to renew a grant: a hint that it is dead, and no more than that."""

from uuid import UUID

import pytest

from lifecycle import GrantStatus
from models import Outcome
from models.kinds import GRANT_REPORTED, REAUTH_REQUESTED
from nylas_api import NylasError, Rejected, Unavailable
from simulator import Running
from tasks.campaigns.results import is_refusal
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tasks.grant_hints import look_at_reported
from tests.conftest import Rings, SetClock
from tests.failing_together import ACCOUNT
from tests.stories import asked_for, at_nylas, fails, history, known, moves, recovers, the_event, the_grant, the_items


async def campaign(ctx: Context, rings: Rings) -> UUID:
    """Let a campaign over all grants run to its end; what it hints at is rung for, and kept."""
    campaign_id, event_id = await asked_for(ctx)
    await start_campaigns.run(ctx, [event_id])
    campaigns = [ids for kind, ids in rings.heard if kind == REAUTH_REQUESTED]
    for ids in campaigns:
        await reauthenticate.run(ctx, ids)
    return campaign_id


async def test_a_grant_that_could_not_be_renewed_is_suspect_and_looked_at(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    alive, dead = await known(ctx, sim, 2, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    sim.state.broken_credentials.add(ACCOUNT)
    at_nylas(sim, dead).grant_status = "invalid"

    await campaign(ctx, rings)

    assert await moves(ctx) == ["valid → suspect"] * 2
    hinted = [id for kind, ids in rings.heard if kind == GRANT_REPORTED for id in ids]
    assert len(hinted) == 2
    assert {(await the_event(ctx, id)).source for id in hinted} == {"reauth"}
    items = {change.item_id for change in await history(ctx)}
    assert None not in items
    assert len(items) == 2

    clock.forward(seconds=1)
    await look_at_reported.run(ctx, hinted)
    assert (await the_grant(ctx, alive)).status is GrantStatus.VALID
    assert (await the_grant(ctx, dead)).status is GrantStatus.EXPIRED


async def test_one_that_we_know_is_dead_needs_no_look(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    await known(ctx, sim, 2, status="invalid", credential_id=ACCOUNT)
    clock.forward(minutes=1)
    sim.state.broken_credentials.add(ACCOUNT)
    await campaign(ctx, rings)
    assert await moves(ctx) == []
    assert GRANT_REPORTED not in [kind for kind, ids in rings.heard if ids]


async def test_the_same_refusal_is_one_hint_and_the_next_campaign_s_another(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    [grant_id] = await known(ctx, sim, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    sim.state.broken_credentials.add(ACCOUNT)
    for time in (1, 2):
        await campaign(ctx, rings)
        hinted = [id for kind, ids in rings.heard if kind == GRANT_REPORTED for id in ids]
        assert len(hinted) == time
        clock.forward(minutes=1)
        await look_at_reported.run(ctx, hinted)
        assert (await the_event(ctx, hinted[-1])).outcome is Outcome.DONE
        clock.forward(minutes=1)
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID


async def test_a_nylas_that_is_away_says_nothing_about_the_grant(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    await known(ctx, sim, 2, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fails(sim, "/v3/connect/custom", status=503)
    await campaign(ctx, rings)
    await recovers(sim)
    assert await moves(ctx) == []


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (Rejected("no", status=400, provider_error="invalid_grant: Bad Request"), True),
        (Rejected("no", status=400, provider_error="access_denied"), True),
        (Rejected("no", status=400, provider_error="AADSTS50173: interaction_required"), True),
        (Rejected("no", status=400, provider_error="invalid_client: The client secret is wrong"), False),
        (Rejected("no", status=400, provider_error="quota exceeded"), False),
        (Rejected("settings is required", status=400), False),
        (Unavailable("no", status=504, provider_error="invalid_grant"), False),
    ],
)
def test_only_a_permission_that_has_ended_is_a_hint(error: NylasError, hint: bool) -> None:
    assert is_refusal(error) is hint


async def test_what_was_renewed_is_not_doubted(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> None:
    await known(ctx, sim, 3, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    campaign_id = await campaign(ctx, rings)
    assert await moves(ctx) == []
    assert {item.outcome for item in await the_items(ctx, campaign_id)} == {Outcome.DONE}
