"""Webhooks that fell silent: told of once, with the time that is in doubt, until they come again."""

import pytest
from sqlalchemy import select
from sqlmodel import col

from lifecycle.incidents import Scope
from models import Event, Incident, Notice, NoticeKind, Outcome
from models.kinds import GRANT_CREATED, GRANT_EXPIRED, WEBHOOKS_DOUBTED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import look_at_created
from tasks.probing import probe
from tasks.silence import LATE, listen_again
from tasks.sync import sync
from tests.conftest import SetClock
from tests.stories import at_nylas, hints, known, seed, the_event


async def silences(ctx: Context) -> list[Incident]:
    """The incidents of silent webhooks, oldest first."""
    wanted = select(Incident).where(col(Incident.scope) == Scope.WEBHOOK).order_by(col(Incident.id))
    async with ctx.database.reading() as session:
        return list(await session.scalars(wanted))


async def told_of(ctx: Context, incident: Incident) -> list[NoticeKind]:
    """What the operator is told of an incident."""
    wanted = select(Notice).where(col(Notice.incident_id) == incident.id).order_by(col(Notice.id))
    async with ctx.database.reading() as session:
        return [notice.kind for notice in await session.scalars(wanted)]


async def doubts(ctx: Context) -> list[Event]:
    """The events by which what a sync has found is judged later."""
    async with ctx.database.reading() as session:
        return list(await session.scalars(select(Event).where(col(Event.kind) == WEBHOOKS_DOUBTED)))


def die(sim: Running, grant_ids: list[str]) -> None:
    """Let grants expire at Nylas, and nobody be told."""
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"


async def test_new_grants_that_nobody_told_of_are_a_silence(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 3)
    heard_at = clock()
    await hints(ctx, GRANT_CREATED, "another")
    clock.forward(hours=2)
    seed(sim, 6)

    report = await sync(ctx)

    [incident] = await silences(ctx)
    assert report.missed == incident.grants == 6
    assert (incident.since, incident.until) == (heard_at, clock())
    assert "6 changes" in incident.what
    assert await told_of(ctx, incident) == [NoticeKind.INCIDENT_OPENED]


async def test_a_handful_is_no_silence(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 3)
    clock.forward(hours=1)
    seed(sim, 5)

    assert (await sync(ctx)).missed == 0
    assert await silences(ctx) == await doubts(ctx) == []


async def test_the_first_import_is_no_silence(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 30)
    clock.forward(hours=1)

    assert (await sync(ctx)).missed == 0
    assert await silences(ctx) == await doubts(ctx) == []


async def test_what_a_sync_was_quick_to_find_may_still_be_told_of(ctx: Context, sim: Running, clock: SetClock) -> None:
    grant_ids = await known(ctx, sim, 20)
    clock.forward(hours=1)
    die(sim, grant_ids[:10])
    assert (await sync(ctx)).missed == 0
    [doubt] = await doubts(ctx)
    assert doubt.due_at == clock() + LATE

    await hints(ctx, GRANT_EXPIRED, *grant_ids[:10])
    clock.forward(minutes=16)
    await listen_again.run(ctx, [doubt.id])

    assert (await the_event(ctx, doubt.id)).outcome is Outcome.DONE
    assert await silences(ctx) == []


async def test_what_is_not_told_of_within_a_quarter_of_an_hour_is_missed(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    grant_ids = await known(ctx, sim, 20)
    clock.forward(hours=1)
    die(sim, grant_ids[:10])
    await sync(ctx)
    [doubt] = await doubts(ctx)

    await hints(ctx, GRANT_EXPIRED, *grant_ids[:3])
    clock.forward(minutes=16)
    await listen_again.run(ctx, [doubt.id])

    [incident] = await silences(ctx)
    assert incident.grants == 7
    assert (await the_event(ctx, doubt.id)).reason == "7 changes were not told of by webhooks"


async def test_a_silence_is_told_of_once_however_long_it_lasts(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 3)
    for _ in range(3):
        clock.forward(hours=1)
        seed(sim, 10)
        await sync(ctx)

    [incident] = await silences(ctx)
    assert (incident.settled_at, incident.until) == (None, clock())
    assert await told_of(ctx, incident) == [NoticeKind.INCIDENT_OPENED]


@pytest.fixture
async def silence(ctx: Context, sim: Running, clock: SetClock) -> Incident:
    """An open incident."""
    await known(ctx, sim, 3)
    clock.forward(hours=1)
    seed(sim, 10)
    await sync(ctx)
    [incident] = await silences(ctx)
    clock.forward(minutes=2)
    return incident


async def test_a_silence_lasts_until_notifications_come_again(
    ctx: Context, sim: Running, clock: SetClock, silence: Incident
) -> None:
    await probe.run(ctx, [silence.id])
    [waiting] = await silences(ctx)
    assert waiting.settled_at is None
    assert waiting.due_at > clock()

    clock.forward(minutes=10)
    heard = await hints(ctx, GRANT_CREATED, *seed(sim))
    await look_at_created.run(ctx, heard)
    await probe.run(ctx, [silence.id])

    [over] = await silences(ctx)
    assert (over.settled_at, over.until) == (clock(), clock())
    assert await told_of(ctx, over) == [NoticeKind.INCIDENT_OPENED, NoticeKind.INCIDENT_CLOSED]


async def test_a_silence_that_is_over_is_not_found_again(
    ctx: Context, sim: Running, clock: SetClock, silence: Incident
) -> None:
    await hints(ctx, GRANT_CREATED, "another")
    await probe.run(ctx, [silence.id])
    clock.forward(hours=1)

    assert (await sync(ctx)).missed == 0
    assert len(await silences(ctx)) == 1
