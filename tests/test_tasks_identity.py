"""Who comes back by a link is compared with who was asked for, and somebody else is never taken for them."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from ingress.story.whole import story
from lifecycle import GrantStatus
from models import AuthSessionStatus, Grant, HeldBy, NoticeKind, Outcome, ReauthLink
from models.kinds import GRANT_CREATED, GRANT_IDENTITY_CHANGED, GRANT_UPDATED
from simulator import Running
from tasks import links
from tasks.context import Context
from tasks.grant_hints import look_at_created, look_at_updated
from tasks.oauth_callback import exchange_codes
from tests.coming_back import BOB, accepted, back_by_a_link, notes, notices
from tests.conftest import SetClock
from tests.stories import (
    all_grants,
    at_nylas,
    fails,
    hint,
    known,
    stands,
    the_event,
    the_grant,
    the_session,
)

DONE = (AuthSessionStatus.DONE, Outcome.DONE)
QUARANTINED = (AuthSessionStatus.QUARANTINED, Outcome.DONE)


async def test_another_account_is_kept_apart_and_the_wanted_grant_stays_as_it_is(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    before = await the_grant(ctx, grant_id)
    clock.forward(minutes=1)
    sign_in = await back_by_a_link(ctx, grant_id, as_=BOB)

    await exchange_codes.run(ctx, [sign_in.event_id])
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == QUARANTINED
    row, event = await the_session(ctx, sign_in), await the_event(ctx, sign_in.event_id)
    grants = await all_grants(ctx)
    wanted, [came] = grants.pop(grant_id), grants.values()
    assert wanted == before
    reason = f"it came of a sign-in for the grant {grant_id}: the email address is another one"
    assert (came.email, came.status, came.quarantined) == (BOB, GrantStatus.VALID, reason)
    assert (row.grant_id, row.reason, event.grant_id, event.reason) == (came.id, reason, came.id, reason)
    assert await notices(ctx, came.id) == {NoticeKind.VALID: HeldBy.QUARANTINE}
    async with ctx.database.reading() as session:
        [link] = await session.scalars(select(ReauthLink))
    assert links.status_of(link, now=clock()) is links.LinkStatus.OPEN


async def test_another_account_is_kept_apart_also_if_nylas_tells_of_it_first(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    """The webhook sets out before the answer to the exchange; it is known by the state that it came of."""
    [grant_id] = await known(ctx, sim, status="invalid")
    clock.forward(minutes=1)
    sign_in = await back_by_a_link(ctx, grant_id, as_=BOB)
    await fails(sim, "/v3/grants/*", status=503, count=1)
    await exchange_codes.run(ctx, [sign_in.event_id])
    [came] = set(sim.state.books.by_id) - {grant_id}

    await look_at_created.run(ctx, [await hint(ctx, GRANT_CREATED, came)])
    assert await notices(ctx, came) == {NoticeKind.VALID: HeldBy.QUARANTINE}
    clock.forward(minutes=1)
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == QUARANTINED
    assert (await the_grant(ctx, came)).quarantined == (await the_session(ctx, sign_in)).reason
    assert await notices(ctx, came) == {NoticeKind.VALID: HeldBy.QUARANTINE}


async def test_a_grant_that_we_knew_is_renewed_by_its_own_user_and_not_kept_apart(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    adas, bobs = await known(ctx, sim, 2, status="invalid")
    clock.forward(minutes=1)
    sign_in = await back_by_a_link(ctx, adas, as_=at_nylas(sim, bobs).email)

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == QUARANTINED
    grants = await all_grants(ctx)
    assert (grants[adas].status, grants[bobs].status) == (GrantStatus.EXPIRED, GrantStatus.VALID)
    assert (grants[adas].quarantined, grants[bobs].quarantined) == (None, None)


async def test_the_same_grant_of_another_user_follows_nylas_but_stays_known_as_whose_it_was(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    at_nylas(sim, grant_id).provider_user_id = "adas"
    clock.forward(minutes=1)
    await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])
    sign_in = await back_by_a_link(ctx, grant_id)
    at_nylas(sim, grant_id).provider_user_id = "bobs"

    await exchange_codes.run(ctx, [sign_in.event_id])
    clock.forward(minutes=1)
    await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])

    assert await stands(ctx, sign_in) == QUARANTINED
    grant = await the_grant(ctx, grant_id)
    assert (grant.status, grant.provider_user_id) == (GrantStatus.VALID, "adas")
    assert str(grant.quarantined).endswith("the provider's user id is another one")

    assert await accepted(ctx, grant_id)
    assert not await accepted(ctx, grant_id)
    grant = await the_grant(ctx, grant_id)
    assert (grant.provider_user_id, grant.quarantined) == ("bobs", None)


async def test_the_same_grant_of_another_user_is_known_as_whose_it_was_also_if_nylas_tells_of_it_first(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    at_nylas(sim, grant_id).provider_user_id = "adas"
    clock.forward(minutes=1)
    await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])
    sign_in = await back_by_a_link(ctx, grant_id)
    at_nylas(sim, grant_id).provider_user_id = "bobs"
    await fails(sim, "/v3/grants/*", status=503, count=1)
    await exchange_codes.run(ctx, [sign_in.event_id])
    clock.forward(minutes=1)
    await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == QUARANTINED
    assert (await the_grant(ctx, grant_id)).provider_user_id == "adas"


@pytest.mark.parametrize("changed", [{"provider_user_id": "moved"}, {"email": "ada.king@example.com"}])
async def test_an_identity_that_nylas_changes_by_itself_is_taken_over_and_noted(
    ctx: Context, sim: Running, clock: SetClock, changed: dict[str, str]
) -> None:
    [grant_id] = await known(ctx, sim)
    at_nylas(sim, grant_id).provider_user_id = "was"
    clock.forward(minutes=1)
    await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])
    [[name, value]] = changed.items()
    setattr(at_nylas(sim, grant_id), name, value)

    for _ in range(2):
        clock.forward(minutes=1)
        await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])

    grant = await the_grant(ctx, grant_id)
    assert (getattr(grant, name), grant.quarantined) == (value, None)
    [(of, reason, outcome)] = await notes(ctx, GRANT_IDENTITY_CHANGED)
    assert (of, outcome) == (grant_id, Outcome.DONE)
    assert str(reason).endswith("another one: taken over as Nylas has it")
    assert value not in str(reason)


async def test_a_change_long_after_a_sign_in_by_a_link_is_no_other_account(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    """The grant carries the state of its last sign-in for good."""
    [grant_id] = await known(ctx, sim, status="invalid")
    clock.forward(minutes=1)
    sign_in = await back_by_a_link(ctx, grant_id)
    await exchange_codes.run(ctx, [sign_in.event_id])
    assert await stands(ctx, sign_in) == DONE
    at_nylas(sim, grant_id).provider_user_id = "moved"
    clock.time += timedelta(days=30)

    await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])

    grant = await the_grant(ctx, grant_id)
    assert (grant.provider_user_id, grant.quarantined) == ("moved", None)


async def test_the_stories_of_both_grants_tell_of_it(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    clock.forward(minutes=1)
    sign_in = await back_by_a_link(ctx, grant_id, as_=BOB)
    await exchange_codes.run(ctx, [sign_in.event_id])
    [came] = set(await all_grants(ctx)) - {grant_id}
    clock.forward(minutes=1)
    assert await accepted(ctx, came)

    async with ctx.database.reading() as session:
        ours, theirs = [
            "\n".join(line.what for line in await story(session, await session.get_one(Grant, id), now=clock()))
            for id in (grant_id, came)
        ]
    of_ours = f"it came of a sign-in for the grant {grant_id}: the email address is another one"
    assert f"brought another account (grant {came}), not taken for this one: {of_ours}" in ours
    assert f"it was taken out of quarantine, although {of_ours}" in theirs
    assert "taken out of quarantine" not in ours
