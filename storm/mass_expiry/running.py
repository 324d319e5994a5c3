"""One mass expiry, from the import of all grants until nothing is left to do."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import func, select, text
from sqlmodel import col

from lifecycle import GrantStatus
from models import Event, Grant, HeldBy, Incident, Notice, NoticeKind
from models.database import Database
from models.kinds import GRANT_EXPIRED, WEBHOOKS_DOUBTED
from storm.disk import watched
from storm.mass_expiry.reckoning import CALLS_A_SECOND, Opened, Reckoning, Sending
from storm.nylas import Nylas
from storm.office import Office
from storm.parts import CLIENT_ID, WORKERS, Parts
from storm.processes import peak_mb

CREDENTIAL = "the-one-credential"
CONCURRENCY = 50
SENDERS = 2
IMPORTED_WITHIN = 900.0
NOTICES_AN_HOUR = 5_000
LOG_FILES = 60
USUAL = ("EVERGRANT_INCIDENT_GRANTS", "EVERGRANT_INCIDENT_SHARE", "EVERGRANT_BRAKE_NOTICES")
LOOKED_AT_EACH = 2.0
NO_PROGRESS_FOR = 240.0
"""Second looks wait for the grace, in which nothing moves."""
HINTS = "hints"
Tell = Callable[[str], None]


async def mass_expiry(
    grants: int, folder: Path, *, seconds: float, on_postgres: bool, grace: int, workers: int, tell: Tell
) -> Reckoning:
    """Let so many grants expire, told of within so many seconds; everything that was started is ended."""
    parts = Parts(folder, on_postgres=on_postgres, concurrency=CONCURRENCY)
    for name in USUAL:
        del parts.environ[name]
    parts.environ |= {
        "EVERGRANT_GRACE_SECONDS": str(grace),
        "EVERGRANT_BRAKE_FLIPS": str(2 * grants),  # as an operator of so many would set it
        "EVERGRANT_BRAKE_NOTICES": str(NOTICES_AN_HOUR),
    }
    ours = ["web", *WORKERS[:workers], "beat-1"]
    database = Database(parts.database_url, pool_size=2)
    try:
        await parts.start("valkey", "simulator", "product", *(["postgres"] if on_postgres else []))
        async with Nylas(parts.nylas, parts.planted.api_key) as nylas:
            ids = await _prepare(parts, nylas, grants)
            if on_postgres:
                await _fill_the_log(database)
            await parts.start(*ours)
            tell(f"{grants} grants are imported, and all parts are up")
            outcome = Reckoning(grants, CREDENTIAL, NOTICES_AN_HOUR)
            await _happen(parts, nylas, database, ids, outcome, seconds=seconds, tell=tell)
            await _read(parts, nylas, database, outcome)
            outcome.memory_mb = {name: peak_mb(parts.pid(name)) for name in (*ours, "valkey")}
            outcome.deaths = [name for name in ours if parts.children[name].ended is not None]
            return outcome
    finally:
        await database.close()
        await asyncio.to_thread(parts.stop)


async def _prepare(parts: Parts, nylas: Nylas, grants: int) -> list[str]:
    """Let Nylas have the grants, and us import them; then their credential breaks."""
    seeded = await nylas.control("POST", "seed", {"grants": grants, "credential_id": CREDENTIAL})
    office = Office(parts, within=IMPORTED_WITHIN)
    for command in ("migrate", "sync"):
        if await office.run(command) is None:
            raise RuntimeError(f"evergrant {command} failed:\n{office.said[-1]}")
    await nylas.control("POST", "limits", {"per_second": CALLS_A_SECOND})
    await nylas.control("POST", f"credentials/{CREDENTIAL}/break", {"expire_grants": True})
    await nylas.control("DELETE", "calls")
    ids: list[str] = seeded["grants"]
    return ids


async def _fill_the_log(database: Database) -> None:
    """Leave PostgreSQL with as many files of its log to use again as one has that did not start a minute ago."""
    async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("CREATE TABLE filler (number INTEGER)"))
        for number in range(LOG_FILES):  # one that nothing was written to is not left for the next
            await connection.execute(text("INSERT INTO filler VALUES (:number)"), {"number": number})
            await connection.execute(text("SELECT pg_switch_wal()"))
        await connection.execute(text("DROP TABLE filler"))
        await connection.execute(text("CHECKPOINT"))


async def _happen(
    parts: Parts, nylas: Nylas, database: Database, ids: list[str], outcome: Reckoning, *, seconds: float, tell: Tell
) -> None:
    """Let the webhooks come, and wait until all is settled that follows from them."""
    senders = await asyncio.gather(
        *(_start_sender(parts, ids[number::SENDERS], number, seconds) for number in range(SENDERS))
    )
    began = time.monotonic()
    try:
        for sender in senders:
            assert sender.stdin
            sender.stdin.write(b"go\n")
        with watched(parts.folder) as looks:
            said = await asyncio.gather(*(_what_it_said(sender) for sender in senders))
            took = time.monotonic() - began
        outcome.sending = _together(said)
        outcome.sending.disk, outcome.sending.seconds = looks, took
        tell(f"{outcome.sending.taken} webhooks were taken after {outcome.sending.seconds:.1f} s")
        await _watch(database, outcome, began, tell)
    finally:
        for sender in senders:
            if sender.returncode is None:
                sender.kill()
                await sender.wait()


async def _start_sender(parts: Parts, ids: list[str], number: int, seconds: float) -> Process:
    file = parts.folder / f"sender-{number}.txt"
    await asyncio.to_thread(file.write_text, "\n".join(ids))
    options = ("--port", str(parts.ports["web"]), "--application", CLIENT_ID, "--seconds", str(seconds))
    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "storm.mass_expiry.sender", str(file), *options),
        env={**os.environ, "STORM_SECRET": parts.planted.webhook_secret},
        stdin=PIPE,
        stdout=PIPE,
    )
    assert sender.stdout
    if await sender.stdout.readline() != b"ready\n":
        raise RuntimeError("a sender did not start")
    return sender


async def _what_it_said(sender: Process) -> dict[str, Any]:
    assert sender.stdout
    told: dict[str, Any] = json.loads(await sender.stdout.read())
    await sender.wait()
    return told


def _together(said: list[dict[str, Any]]) -> Sending:
    sending = Sending()
    for one in said:
        sending.taken += one["taken"]
        sending.refused.update(one["refused"])
        sending.answers += [(at, seconds) for at, seconds in one["answers"]]
        sending.late += one["late"]
    return sending


async def _watch(database: Database, outcome: Reckoning, began: float, tell: Tell) -> None:
    """Note when all hints, and then everything else, were settled; give up when nothing moves any more."""
    still_open = select(col(Event.kind), func.count()).where(
        col(Event.settled_at).is_(None), col(Event.kind) != WEBHOOKS_DOUBTED
    )
    before, moved = dict[str, int](), time.monotonic()
    while True:
        async with database.reading() as session:
            rows = await session.execute(still_open.group_by(col(Event.kind)))
            now = {str(kind): int(count) for kind, count in rows.all()}
        took = time.monotonic() - began
        if GRANT_EXPIRED not in now and HINTS not in outcome.settled_after:
            outcome.settled_after[HINTS] = took
            tell(f"all hints are settled after {took:.1f} s")
        if not now:
            outcome.settled_after["everything"] = took
            return
        if now != before:
            before, moved = now, time.monotonic()
        elif time.monotonic() - moved > NO_PROGRESS_FOR:
            tell(f"nothing moves any more; still open: {now}")
            return
        await asyncio.sleep(LOOKED_AT_EACH)


async def _read(parts: Parts, nylas: Nylas, database: Database, outcome: Reckoning) -> None:
    """Read the books of all, those of Nylas' calls first: reading its grants is a call as well."""
    calls = await nylas.control("GET", "calls")
    outcome.calls = Counter(calls["by_path"])
    outcome.busiest_second = max(calls["busiest_second"].values(), default=0)
    outcome.too_many = calls["statuses"].get("429", 0)
    await nylas.control("POST", "limits", {"per_second": None})  # our own reading is no part of it
    invalid = {grant["id"] for grant in await nylas.grants() if grant["grant_status"] == "invalid"}
    async with aiohttp.ClientSession() as web, web.get(f"{parts.product}/books") as answer:
        told = (await answer.json())["heard"]
    outcome.heard = [(entry.get("kind", "unsigned"), datetime.fromisoformat(entry["at"])) for entry in told]
    async with database.reading() as session:
        ended = select(col(Event.outcome), func.count()).where(col(Event.kind) == GRANT_EXPIRED)
        rows = (await session.execute(ended.group_by(col(Event.outcome)))).all()
        outcome.ends = Counter({end.value if end else "open": count for end, count in rows})
        open_ones = select(func.count()).where(col(Event.settled_at).is_(None), col(Event.kind) != WEBHOOKS_DOUBTED)
        outcome.still_open = await session.scalar(open_ones) or 0
        expired = select(col(Grant.id)).where(col(Grant.status) == GrantStatus.EXPIRED)
        here = set((await session.scalars(expired)).all())
        held = select(func.count()).where(
            col(Notice.incident_id) == col(Incident.id),
            col(Notice.kind) == NoticeKind.EXPIRED,
            col(Notice.held_by) == HeldBy.INCIDENT,
        )
        incidents = (await session.execute(select(Incident, held.scalar_subquery()))).all()
    outcome.expired_here, outcome.expired_rightly = len(here), len(here & invalid)
    outcome.incidents = [Opened(one.scope.value, one.subject, one.grants, holds) for one, holds in incidents]
