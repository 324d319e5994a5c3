"""What the story of a grant makes of single rows: links, sign-ins, plans, and work that was put off or set aside."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from ingress.story.line import Line, What
from ingress.story.whole import story
from lifecycle import GrantStatus
from models import (
    AuthSession,
    AuthSessionStatus,
    Campaign,
    CampaignItem,
    CampaignStatus,
    Delivery,
    Endpoint,
    Event,
    Grant,
    Notice,
    NoticeKind,
    Outcome,
    ReauthLink,
    Retirement,
    RetirementItem,
    RetirementStatus,
)
from models.columns import new_id
from models.inbox import told
from models.kinds import GRANT_EXPIRED, GRANT_RECHECK, GRANT_REPORTED
from tasks.context import Context
from tests.front import only_sqlite
from tests.stories import stored

pytestmark = only_sqlite
HOUR = timedelta(hours=1)


@pytest.fixture
async def grant(ctx: Context) -> Grant:
    """A grant, with nothing that happened to it."""
    row = Grant(
        id="g1",
        application_id=ctx.application_id,
        provider="google",
        status=GrantStatus.VALID,
        as_of=ctx.now(),
        first_seen_at=ctx.now(),
    )
    await stored(ctx, row)
    return row


async def whats(ctx: Context, grant: Grant) -> list[str]:
    """The lines of its story: who, and what."""
    return [f"{line.actor}: {line.what}" for line in await lines(ctx, grant)]


async def lines(ctx: Context, grant: Grant) -> list[Line]:
    """Its story."""
    async with ctx.database.reading() as session:
        return await story(session, grant, now=ctx.now())


def event(ctx: Context, kind: str = GRANT_EXPIRED, *, source: str = "nylas", **more: Any) -> Event:
    """The row of an event about the grant, an hour old."""
    at = ctx.now() - HOUR
    row = told(kind, f"test:{new_id()}", application_id=ctx.application_id, source=source, now=at, grant_id="g1")
    return amended(row, more)


def amended(row: Any, values: dict[str, Any]) -> Any:
    """The row with these values."""
    for name, value in values.items():
        setattr(row, name, value)
    return row


ENDS = [
    (Outcome.DONE, "looked at Nylas because of grant.expired: so it is"),
    (Outcome.IGNORED, "nothing was done about grant.expired: so it is"),
    (Outcome.FAILED, "grant.expired failed for good: so it is"),
    (Outcome.SET_ASIDE, "grant.expired was set aside, for a human: so it is"),
]


async def test_each_end_of_an_event_is_told_with_its_reason(ctx: Context, grant: Grant) -> None:
    await stored(ctx, *(event(ctx, outcome=end, settled_at=ctx.now(), reason="so it is") for end, _ in ENDS))
    found = await whats(ctx, grant)
    assert found[:4] == ["Nylas: Nylas sent grant.expired"] * 4
    assert sorted(found[4:]) == sorted(f"Evergrant: {what}" for _, what in ENDS)


async def test_an_event_that_waits_says_what_for_and_until_when(ctx: Context, grant: Grant) -> None:
    due = ctx.now() + HOUR
    await stored(ctx, event(ctx, due_at=due, reason="Nylas said 503", attempts=3, request_id="req-1"))
    [_, line] = await lines(ctx, grant)
    assert (line.at, line.request_id) == (due, "req-1")
    assert line.what == "grant.expired could not be settled: Nylas said 503; tried 3 times, due again then"


async def test_a_second_look_that_was_put_off_does_not_tell_a_wrong_time(ctx: Context, grant: Grant) -> None:
    due = ctx.now() + HOUR
    planned = event(ctx, GRANT_RECHECK, source="evergrant", due_at=due)
    await stored(ctx, planned)
    [line] = await whats(ctx, grant)
    assert line == (
        f"Evergrant: a second look is planned at {due:%Y-%m-%d %H:%M:%S}: nobody is told before Nylas has said "
        "invalid twice"
    )
    moved = event(ctx, GRANT_RECHECK, source="evergrant", due_at=due, attempts=2, reason="Nylas said 503")
    async with ctx.database.writing() as session:
        await session.delete(await session.get_one(Event, planned.id))
    await stored(ctx, moved)
    assert (await whats(ctx, grant))[0].startswith("Evergrant: a second look is planned: nobody is told")


async def test_who_asked_is_named(ctx: Context, grant: Grant) -> None:
    report = b'{"by": "mail server", "status": 401, "request_id": "req-2"}'
    await stored(
        ctx,
        event(ctx, GRANT_REPORTED, source="api", raw=report, occurred_at=ctx.now() - HOUR),
        event(ctx, GRANT_REPORTED, source="reauth"),
        event(ctx, "grant.updated", source="schedule"),
    )
    assert sorted(await whats(ctx, grant)) == [
        "Evergrant: a re-authentication was refused: a reason to look at the grant",
        "the product: the product (token mail server) reported that it fails with 401, at Nylas' request req-2",
        "the schedule: the schedule asked for grant.updated",
    ]


def link(ctx: Context, **more: Any) -> ReauthLink:
    """A link of the grant, two hours old, that was good for an hour."""
    row = ReauthLink(
        id=new_id(),
        application_id=ctx.application_id,
        grant_id="g1",
        created_at=ctx.now() - 2 * HOUR,
        created_by="token crm",
        expires_at=ctx.now() - HOUR,
    )
    return amended(row, more)


async def test_links_are_told_from_who_gave_them_out_to_their_end(ctx: Context, grant: Grant) -> None:
    now = ctx.now()
    rows = [
        link(ctx),
        link(ctx, opened_at=now - HOUR, spent_at=now - HOUR),
        link(ctx, revoked_at=now - HOUR),
        link(ctx, expires_at=now + HOUR),
    ]
    await stored(ctx, *rows)
    found = await lines(ctx, grant)
    ends = [[line.what.split(f"link {row.id} ")[1] for line in found if str(row.id) in line.what] for row in rows]
    assert [len(end) for end in ends] == [2, 3, 2, 1]
    assert [end[-1].split(",")[0] for end in ends] == [
        "ran out without a sign-in",
        "was spent by a sign-in that succeeded",
        "was revoked",
        "was given out",
    ]
    assert {line.actor for line in found if "given out" in line.what} == {"token crm"}


def sign_in(ctx: Context, status: AuthSessionStatus, link_id: UUID | None = None, **more: Any) -> AuthSession:
    """A sign-in, an hour old, that has ended."""
    row = AuthSession(
        id=new_id(),
        application_id=ctx.application_id,
        status=status,
        provider="google",
        state_hash=str(new_id()),
        browser_hash="",
        redirect_uri="",
        created_at=ctx.now() - HOUR,
        expires_at=ctx.now(),
        ended_at=ctx.now(),
        link_id=link_id,
    )
    return amended(row, more)


async def test_sign_ins_are_told_also_those_that_brought_somebody_else(ctx: Context, grant: Grant) -> None:
    given = link(ctx, expires_at=ctx.now() + HOUR)
    await stored(ctx, given)
    other = {"wanted_grant_id": "g1", "grant_id": "g2", "reason": "the email address is another one"}
    await stored(
        ctx,
        sign_in(ctx, AuthSessionStatus.DONE, grant_id="g1"),
        sign_in(ctx, AuthSessionStatus.FAILED, wanted_grant_id="g1", reason="declined"),
        sign_in(ctx, AuthSessionStatus.QUARANTINED, link_id=given.id, **other),
    )
    found = [line.what for line in await lines(ctx, grant) if line.kind is What.SIGN_IN]
    assert sorted(found) == sorted(
        [
            "a sign-in with google was started",
            "a sign-in with google was started",
            "a sign-in with google was started by a re-authentication link",
            "the sign-in succeeded",
            "the sign-in failed: declined",
            "the sign-in brought another account (grant g2), not taken for this one: the email address is another one",
        ]
    )


async def test_a_quarantine_is_told_with_its_reason(ctx: Context, grant: Grant) -> None:
    grant.quarantined = "the provider is google, not microsoft"
    [line] = await whats(ctx, grant)
    assert line.endswith("nobody is told of it, until an admin decides: the provider is google, not microsoft")


async def test_campaigns_and_retirements_are_told(ctx: Context, grant: Grant) -> None:
    now = ctx.now()
    campaign = Campaign(
        id=new_id(),
        application_id=ctx.application_id,
        status=CampaignStatus.FINISHED,
        created_at=now - HOUR,
        source="incident",
    )
    plan = Retirement(
        id=new_id(),
        application_id=ctx.application_id,
        status=RetirementStatus.FINISHED,
        created_at=now - HOUR,
        approved_at=now - HOUR / 2,
        approved_by="ada",
    )
    await stored(ctx, campaign, plan)
    ends = {"due_at": now, "settled_at": now, "grant_id": "g1", "request_id": "req-3"}
    await stored(
        ctx,
        event(ctx, "reauth.bulk_requested", source="incident", key=f"campaign:{campaign.id}", grant_id=None),
        CampaignItem(id=new_id(), campaign_id=campaign.id, outcome=Outcome.SKIPPED, reason="no credential", **ends),
        RetirementItem(id=new_id(), retirement_id=plan.id, outcome=Outcome.DONE, sent_at=now - HOUR / 4, **ends),
    )
    assert await whats(ctx, grant) == [
        f"Evergrant: re-authentication in campaign {campaign.id} was asked for",
        f"an admin: retirement plan {plan.id} proposes to delete it at Nylas",
        f"ada: retirement plan {plan.id} was approved",
        "Evergrant: its deletion was sent to Nylas",
        f"Evergrant: re-authentication in campaign {campaign.id}: skipped (no credential)",
        f"Evergrant: it was deleted at Nylas by retirement plan {plan.id}",
    ]


async def test_the_way_to_each_endpoint_is_told(ctx: Context, grant: Grant) -> None:
    now = ctx.now()
    sent = Notice(
        id=new_id(),
        application_id=ctx.application_id,
        kind=NoticeKind.EXPIRED,
        grant_id="g1",
        occurred_at=now - HOUR,
        created_at=now - HOUR,
        due_at=now - HOUR,
        settled_at=now - HOUR,
        outcome=Outcome.DONE,
    )
    await stored(ctx, sent)
    ways: list[dict[str, Any]] = [
        {"attempts": 1, "http_status": 200, "settled_at": now, "outcome": Outcome.DONE},
        {"attempts": 3, "http_status": 500, "due_at": now + HOUR, "reason": "it answered 500"},
        {"attempts": 90, "settled_at": now, "outcome": Outcome.SET_ASIDE, "reason": "given up after 3 days"},
    ]
    for number, way in enumerate(ways):
        url = f"https://ada:hush@{number}.example/in?key=hush"
        endpoint = Endpoint(
            id=new_id(), application_id=ctx.application_id, url=url, secret="eg1.x", source="cli", created_at=now
        )
        row = Delivery(id=new_id(), notice_id=sent.id, endpoint_id=endpoint.id, grant_id="g1", due_at=now)
        await stored(ctx, endpoint)
        await stored(ctx, amended(row, way))
    assert await whats(ctx, grant) == [
        "Evergrant: the notice grant.expired was sent on its way",
        "Evergrant: grant.expired to https://1.example/in is not delivered yet, after 3 attempts (answered 500); "
        f"due at {now + HOUR:%Y-%m-%d %H:%M:%S}: it answered 500",
        "Evergrant: grant.expired to https://0.example/in was delivered, at 1 attempt (answered 200)",
        "Evergrant: grant.expired to https://2.example/in was given up after 90 attempts: given up after 3 days",
    ]
