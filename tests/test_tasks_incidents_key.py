"""The API key is refused: one incident, no word about any grant, and all goes on when the key is taken again."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, func, insert, select
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.incidents import Scope
from models import Application, Event, Grant, NoticeKind, Outcome, Transition
from models.claims import open_at
from models.database import Database
from models.inbox import told
from models.kinds import EVENT_KINDS, GRANT_EXPIRED
from nylas_api import KeyRejected, NylasClient, open_http
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import confirm_expiry
from tests.conftest import API_KEY, CLIENT_ID, Rings, SetClock
from tests.failing_together import incidents, notices, probes, the_incident
from tests.stories import fails, hints, known, recovers, seed, stored, the_grant
from worker.key_watch import KeyWatch
from worker.sweeper import sweep

NO_KEY = {"error": {"type": "api.authentication_error", "message": "Unauthorized"}}


@pytest.fixture
async def process(ctx: Context, sim: Running, clock: SetClock) -> AsyncIterator[Callable[[], Context]]:
    """Starts processes: each has a client of its own, which tells a watch of its own what it hears of the key."""
    http, watches = open_http(connections=50), list[KeyWatch]()

    def start() -> Context:
        watch = KeyWatch()
        client = NylasClient(
            api_uri=sim.url,
            api_key=API_KEY,
            client_id=CLIENT_ID,
            http=http,
            now=clock,
            deadline=timedelta(seconds=2),
            attempts=1,
            key_heard=watch.heard,
        )
        mine = replace(ctx, nylas=client)
        watch.write_to(mine)
        watches.append(watch)
        return mine

    yield start
    for watch in watches:
        await watch.close()
    await http.aclose()


async def opened(ctx: Context, number: int) -> None:
    """Wait until so many incidents have been written down."""
    async with asyncio.timeout(5):
        while len(await incidents(ctx)) < number:  # noqa: ASYNC110 - a row sets no event
            await asyncio.sleep(0.01)


async def closed(ctx: Context) -> None:
    """Wait until the incident is closed."""
    async with asyncio.timeout(5):
        while (await the_incident(ctx)).settled_at is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


async def many(ctx: Context, sim: Running, number: int, *, hinted: int) -> None:
    """Let Nylas and ourselves have many grants, and be told of some that they have expired; all of them are valid."""
    now = ctx.now()
    grant = Grant(
        id="",
        application_id=ctx.application_id,
        provider="google",
        status=GrantStatus.VALID,
        as_of=now,
        first_seen_at=now,
        version=1,
    ).model_dump()
    rows = [grant | {"id": grant_id} for grant_id in seed(sim, number)]
    async with ctx.database.writing() as session:
        for start in range(0, number, 1_000):
            await session.execute(insert(Grant), rows[start : start + 1_000])
        hint = {"application_id": ctx.application_id, "source": "nylas", "now": now}
        events = [told(GRANT_EXPIRED, row["id"], grant_id=row["id"], **hint).model_dump() for row in rows[:hinted]]
        await session.execute(insert(Event), events)


async def work(ctx: Context) -> None:
    """Work on all events that are due, 200 at a time."""
    async with ctx.database.reading() as session:
        due = select(col(Event.id)).where(col(Event.kind).in_(EVENT_KINDS), open_at(Event, ctx.now()))
        ids = (await session.scalars(due)).all()
    for start in range(0, len(ids), 200):
        await confirm_expiry.run(ctx, ids[start : start + 200])


async def count(ctx: Context, model: type[Event] | type[Transition], *which: ColumnElement[bool]) -> int:
    """Count rows."""
    async with ctx.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*which)) or 0


async def test_a_401_for_all_of_10_000_grants_is_one_incident_and_changes_not_one_of_them(
    ctx: Context, sim: Running, clock: SetClock, process: Callable[[], Context]
) -> None:
    await many(ctx, sim, 10_000, hinted=400)
    clock.forward(seconds=1)
    await fails(sim, "/v3/*", status=401, body=NO_KEY)
    one, other = process(), process()

    await asyncio.gather(work(one), work(other))
    await opened(ctx, 1)
    clock.forward(minutes=20)
    await asyncio.gather(work(one), work(other))

    incident = await the_incident(ctx)
    assert (incident.scope, incident.settled_at) == (Scope.KEY, None)
    assert await count(ctx, Transition) == 0
    assert await count(ctx, Event, col(Event.settled_at).is_not(None)) == 0
    assert [one.kind for one in await notices(ctx)] == [NoticeKind.INCIDENT_OPENED]
    assert sim.state.calls.total < 100, "while the key is refused nothing is asked but whether it still is"

    await recovers(sim)
    clock.forward(minutes=20)
    await probes(one, clock, minutes=0)
    await work(one)
    await closed(ctx)
    assert await count(ctx, Event, col(Event.outcome) == Outcome.DONE) == 400
    assert await count(ctx, Transition) == 0
    assert [one.kind for one in await notices(ctx)] == [NoticeKind.INCIDENT_OPENED, NoticeKind.INCIDENT_CLOSED]


async def test_any_process_closes_it_when_the_one_that_met_it_is_gone(
    ctx: Context, sim: Running, clock: SetClock, process: Callable[[], Context], rings: Rings
) -> None:
    [grant_id] = await known(ctx, sim)
    await fails(sim, "/v3/*", status=401, body=NO_KEY)
    await confirm_expiry.run(process(), await hints(ctx, GRANT_EXPIRED, grant_id))
    await opened(ctx, 1)
    await probes(process(), clock, times=3)
    incident = await the_incident(ctx)
    assert incident.settled_at is None
    assert "API key" in (incident.reason or "")
    await recovers(sim)

    clock.forward(minutes=10)
    await sweep(ctx)
    assert ("incident.probe", [incident.id]) in rings.heard
    await probes(process(), clock, minutes=0)

    assert (await the_incident(ctx)).reason == "Nylas takes the API key again"
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID


async def test_a_key_that_is_refused_again_is_an_incident_again(
    ctx: Context, sim: Running, clock: SetClock, process: Callable[[], Context]
) -> None:
    worker = process()
    for time in (1, 2):
        await fails(sim, "/v3/*", status=401, body=NO_KEY)
        with pytest.raises(KeyRejected):
            await worker.nylas.grants.list()
        await opened(ctx, time)
        await recovers(sim)
        clock.forward(minutes=10)
        await worker.nylas.grants.list()
        async with asyncio.timeout(5):
            while any(one.settled_at is None for one in await incidents(ctx)):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    assert [one.outcome for one in await incidents(ctx)] == [Outcome.DONE] * 2


async def test_a_database_that_is_away_when_it_is_heard_has_it_written_down_later(
    ctx: Context, migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.key_watch.WRITE_AGAIN", 0.02)
    folder = tmp_path / "away"
    away = replace(ctx, database=Database(f"sqlite:///{folder / 'evergrant.db'}"))
    watch = KeyWatch()
    watch.write_to(away)

    watch.heard(KeyRejected("Nylas answered 401"))
    await asyncio.sleep(0.05)
    folder.mkdir()
    shutil.copyfile(migrated_sqlite, folder / "evergrant.db")
    async with ctx.database.reading() as session:
        application = await session.get_one(Application, ctx.application_id)
    await stored(away, Application(**application.model_dump()))

    await opened(away, 1)
    await watch.close()
    await away.database.close()
