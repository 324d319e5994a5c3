"""What a sign-in by a link leads to: what it ends when it succeeds, and what waits in quarantine for an admin."""

from sqlalchemy import select

from models import AuthSessionStatus, HeldBy, NoticeKind, Outcome, ReauthLink
from models.kinds import GRANT_UPDATED
from simulator import Running
from tasks.campaigns.starting import start_campaigns
from tasks.context import Context
from tasks.grant_hints import look_at_updated
from tasks.oauth_callback import exchange_codes
from tests.coming_back import BOB, accepted, back_by_a_link, linked, notes, notices
from tests.conftest import SetClock
from tests.stories import (
    all_grants,
    asked_for,
    at_nylas,
    fails,
    hint,
    known,
    moves,
    stands,
    the_items,
)

DONE = (AuthSessionStatus.DONE, Outcome.DONE)


async def test_whom_the_link_was_for_is_connected_and_the_link_is_spent(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    other = await linked(ctx, grant_id)
    clock.forward(minutes=1)
    at_nylas(sim, grant_id).email = at_nylas(sim, grant_id).email.upper()  # the same address for all of us
    sign_in = await back_by_a_link(ctx, grant_id)

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE
    assert await moves(ctx) == ["expired → valid"]
    async with ctx.database.reading() as session:
        rows = (await session.scalars(select(ReauthLink))).all()
    assert len(rows) == 2
    assert {link.spent_at for link in rows} == {clock()}
    assert other.id in {link.id for link in rows}


async def test_what_was_held_is_told_when_an_admin_has_accepted_the_account(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    clock.forward(minutes=1)
    await exchange_codes.run(ctx, [(await back_by_a_link(ctx, grant_id, as_=BOB)).event_id])
    [came] = set(await all_grants(ctx)) - {grant_id}

    assert await accepted(ctx, came)

    assert await notices(ctx, came) == {NoticeKind.VALID: None}
    [(of, reason, outcome)] = await notes(ctx, "grant.released")
    assert (of, outcome) == (came, Outcome.DONE)
    assert str(reason).startswith(
        f"it was taken out of quarantine, although it came of a sign-in for the grant {grant_id}"
    )


async def test_nobody_is_told_of_an_expiry_in_quarantine_and_after_a_release_all_is(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    clock.forward(minutes=1)
    await exchange_codes.run(ctx, [(await back_by_a_link(ctx, grant_id, as_=BOB)).event_id])
    [came] = set(await all_grants(ctx)) - {grant_id}
    at_nylas(sim, came).grant_status = "invalid"
    for _ in range(2):
        clock.forward(minutes=3)
        await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, came)])

    kinds = (NoticeKind.VALID, NoticeKind.EXPIRED, NoticeKind.REAUTH_REQUIRED)
    assert await notices(ctx, came) == dict.fromkeys(kinds, HeldBy.QUARANTINE)
    assert await accepted(ctx, came)
    assert await notices(ctx, came) == dict.fromkeys(kinds, None)


async def test_a_success_ends_the_campaigns_for_the_grant_and_takes_reminders_back(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    grant_id, other = await known(ctx, sim, 2, credential_id="service-account")
    for grant in (grant_id, other):
        at_nylas(sim, grant).grant_status = "invalid"
    for _ in range(2):
        clock.forward(minutes=3)
        await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, one) for one in (grant_id, other)])
    assert (await notices(ctx, grant_id))[NoticeKind.REAUTH_REQUIRED] is None
    campaign_id, event_id = await asked_for(ctx)
    await start_campaigns.run(ctx, [event_id])
    clock.forward(minutes=1)

    await exchange_codes.run(ctx, [(await back_by_a_link(ctx, grant_id)).event_id])

    ends = {item.grant_id: (item.outcome, item.reason) for item in await the_items(ctx, campaign_id)}
    assert ends == {grant_id: (Outcome.DONE, "its user signed in"), other: (None, None)}
    told = await notices(ctx, grant_id)
    assert told[NoticeKind.REAUTH_REQUIRED] == "it recovered"
    assert (await notices(ctx, other))[NoticeKind.REAUTH_REQUIRED] is None


async def test_a_sign_in_after_which_nylas_still_says_invalid_spends_nothing(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    clock.forward(minutes=1)
    sign_in = await back_by_a_link(ctx, grant_id)
    await fails(sim, "/v3/grants/*", status=503, count=1)
    await exchange_codes.run(ctx, [sign_in.event_id])
    at_nylas(sim, grant_id).grant_status = "invalid"
    clock.forward(minutes=1)

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE
    async with ctx.database.reading() as session:
        [link] = await session.scalars(select(ReauthLink))
    assert link.spent_at is None
