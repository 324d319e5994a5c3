"""Why a grant is as it is: its story says each thing that happened, by whom, by which rule, and who was told."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from ingress.story.line import Line
from ingress.story.notices import shown
from ingress.story.whole import story
from lifecycle import GrantStatus
from models import Endpoint
from models.columns import new_id
from models.kinds import GRANT_EXPIRED, GRANT_UPDATED
from simulator import Running
from tasks.context import Context
from tests.api import NOW
from tests.conftest import Rings, SetClock
from tests.failing_together import ACCOUNT, fail, probes, second_looks, the_incident, work_again
from tests.front import only_sqlite
from tests.life import Life
from tests.receiving import a_product, reaching, told_at
from tests.stories import at_nylas, fails, hint, known, recovers, the_grant


@pytest.fixture
async def life(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> AsyncIterator[Life]:
    """A worker whose product listens, at an address with secrets in it."""
    async with a_product() as product, reaching(ctx) as reach:
        await told_at(reach, product, url=product.url + "?key=hush")
        yield Life(reach, sim, clock, rings, product)


async def told(ctx: Context, grant_id: str) -> list[Line]:
    """The story of a grant; telling it twice makes no difference, and it is in order."""
    grant = await the_grant(ctx, grant_id)
    async with ctx.database.reading() as session:
        lines = await story(session, grant, now=ctx.now())
        assert lines == await story(session, grant, now=ctx.now())
    assert lines == sorted(lines, key=lambda line: line.place)
    assert "hush" not in str(lines)
    return lines


async def known_grant(life: Life) -> str:
    """A grant that we know of."""
    [grant_id] = await known(life.ctx, life.sim)
    await life.passes(hours=1)
    return grant_id


def has(lines: list[Line], *parts: str) -> None:
    """Look for lines in this order, each with the texts of a part, between which … stands for what else there is."""
    left = iter(lines)
    for part in parts:
        assert any(all(text in line.what for text in part.split("…")) for line in left), (part, in_words(lines))


def in_words(lines: list[Line]) -> str:
    """The story as it is read."""
    return "\n".join(line.what for line in lines)


async def test_a_whole_life_is_told_from_the_first_look_to_the_recovery(life: Life) -> None:
    grant_id = await known_grant(life)
    at_nylas(life.sim, grant_id).grant_status = "invalid"
    await hint(life.ctx, GRANT_EXPIRED, grant_id)
    await life.passes(hours=80)
    life.sim.state.books.touch(at_nylas(life.sim, grant_id))
    await hint(life.ctx, GRANT_UPDATED, grant_id)
    await life.passes(minutes=5)

    lines = await told(life.ctx, grant_id)

    has(
        lines,
        "unknown to us → valid, because of sync: it became known, and Nylas says that it works",
        "Nylas sent grant.expired",
        "valid → expired, because of grant.expired: Nylas says that it is invalid; nobody is told before a second look",
        "confirmed: a second look at Nylas",
        "grant.expired to http://127.0.0.1",
        "the notice grant.reauth_required (number 2) was sent on its way",
        "expired → valid, because of grant.updated: Nylas says that it works again",
        "was not sent: it recovered",
        "the notice grant.gap (Nylas does not send what came",
        "grant.recovered to http://127.0.0.1",
    )
    changes = [(line.before, line.after) for line in lines if line.kind == "change"]
    assert changes == [(None, "valid"), ("valid", "expired"), ("expired", "valid")]
    assert all(line.request_id for line in lines if line.kind == "change")
    assert sum(line.kind == "confirmation" for line in lines) == 1
    assert sum("a second look is planned at" in line.what for line in lines) == 1
    delivered = [line.what for line in lines if line.kind == "delivery"]
    assert len(delivered) == len(life.product.took)
    assert all("was delivered, at 1 attempt (answered 200)" in what for what in delivered)


@only_sqlite
async def test_what_was_withdrawn_before_anybody_was_told_says_why(life: Life) -> None:
    grant_id = await known_grant(life)
    at_nylas(life.sim, grant_id).grant_status = "invalid"
    await hint(life.ctx, GRANT_EXPIRED, grant_id)
    await life.work()
    lines = await told(life.ctx, grant_id)
    has(lines, "the notice grant.expired is planned for…held until a second look confirms it")

    at_nylas(life.sim, grant_id).grant_status = "valid"
    await life.passes(minutes=10)

    lines = await told(life.ctx, grant_id)
    has(lines, "expired → valid", "the notice grant.expired was not sent: it recovered before it was confirmed")
    assert not any(line.kind == "confirmation" for line in lines)


@only_sqlite
async def test_a_doubt_is_told_with_what_kept_us_from_looking(life: Life) -> None:
    grant_id = await known_grant(life)
    await fails(life.sim, "/v3/grants/*", status=503)
    await hint(life.ctx, GRANT_EXPIRED, grant_id)
    await life.work()
    has(await told(life.ctx, grant_id), "valid → suspect, because of grant.expired: something hints that it died")
    await recovers(life.sim)
    await life.passes(minutes=15)
    has(await told(life.ctx, grant_id), "suspect → valid…the doubt is gone")


async def test_an_incident_says_why_a_grant_was_not_told_of(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ids = await known(ctx, sim, 8, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, *ids)
    clock.forward(minutes=3)
    await second_looks(ctx)
    incident = await the_incident(ctx)

    opened = await told(ctx, ids[0])
    has(opened, f"incident {incident.id} was opened, and the notices about its grants are held: 8 grants of the")
    assert any("held, since many grants fail for one cause" in line.what for line in opened)

    work_again(sim, *ids)
    await probes(ctx, clock, times=3)
    closed = await told(ctx, ids[0])
    has(closed, "was opened, and the notices", "expired → valid", f"incident {incident.id} was closed: ")
    has(closed, "the notice grant.expired was not sent: ")


@only_sqlite
async def test_what_had_expired_before_we_knew_it_was_never_confirmed(ctx: Context, sim: Running) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    lines = await told(ctx, grant_id)
    has(lines, "unknown to us → expired", "was not sent: it had expired before Evergrant knew it")
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.EXPIRED
    assert not any(line.kind == "confirmation" for line in lines)


@only_sqlite
async def test_a_late_hint_is_told_as_one_that_changed_nothing(life: Life) -> None:
    grant_id = await known_grant(life)
    await hint(life.ctx, GRANT_EXPIRED, grant_id, occurred_ago=timedelta(hours=1))
    await life.work()
    has(await told(life.ctx, grant_id), "looked at Nylas because of grant.expired: Nylas says valid: no change")


def test_an_endpoint_is_shown_without_what_may_be_secret() -> None:
    urls = ["https://a:hush@x.example:8443/in?key=hush#hush", "mailto:ada@example.com", "mailto:"]
    rows = [Endpoint(url=url, application_id=new_id(), secret="", source="cli", created_at=NOW) for url in urls]
    assert [shown(row) for row in rows] == ["https://x.example:8443/in", "the operator by mail", "the users by mail"]
