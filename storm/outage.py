"""The long outage: nobody receives for an hour, Nylas gives its webhooks up, and a sync finds all that changed."""

import asyncio
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from sqlalchemy import select
from sqlmodel import col

from ingress.children import free_port
from ingress.embedded import start_valkey
from ingress.presence import note_presence
from models import Application, Event, Grant
from models.columns import new_id
from models.database import Database
from models.kinds import SYNC_REQUESTED
from models.migrations.run import upgrade
from models.sealing import Keyring
from nylas_api import GRANT_TRIGGERS, NylasClient, open_http
from simulator import Running, start
from simulator.hooks import Hook
from tasks.context import Context
from tasks.sync import sync, sync_grants

AWAY = timedelta(minutes=60)
FOUND_WITHIN = timedelta(minutes=5)
CALLS_A_SECOND = 49.2
KEY, CLIENT = "nyk_outage", "outage"
TRUTH = {"valid": "valid", "invalid": "expired"}


@dataclass(frozen=True, slots=True)
class Outage:
    """How it went: what had changed, what was found, and what that took."""

    changed: int
    found: int
    delivered: int
    calls: int
    worked: float

    @property
    def seconds(self) -> float:
        """From the return until all was found: our work, and the calls at Nylas' rate."""
        return self.worked + self.calls / CALLS_A_SECOND

    @property
    def holds(self) -> bool:
        """Whether all was found in time, and nothing else could have told of it."""
        return self.found == self.changed and not self.delivered and self.seconds <= FOUND_WITHIN.total_seconds()

    def table(self) -> str:
        """Say it."""
        return (
            f"away for {AWAY.total_seconds() / 60:.0f} min (virtual): {self.changed} grants changed, "
            f"{self.delivered} webhooks came\n"
            f"found {self.found} within {self.seconds:.1f} s of the return: {self.worked:.1f} s of work here, "
            f"{self.calls} calls at {CALLS_A_SECOND} a second\n"
            f"{'the promise holds' if self.holds else 'THE PROMISE IS BROKEN'}"
        )


class Ahead:
    """Our clock, that goes with the simulator's."""

    def __init__(self) -> None:
        """Begin now."""
        self.by = timedelta()

    def __call__(self) -> datetime:
        """Tell the time."""
        return datetime.now(UTC) + self.by


async def outage(grants: int, folder: Path) -> Outage:
    """Let so many grants change while nobody listens; come back, and see what is found."""
    running = await start(api_key=KEY, client_id=CLIENT, webhook_secret=secrets.token_hex())
    valkey, redis_url = start_valkey(folder / "valkey", keep=False)
    clock, http = Ahead(), open_http(connections=20)
    database, redis = Database(f"sqlite:///{folder / 'evergrant.db'}"), Redis.from_url(redis_url)
    try:
        await upgrade(database)
        ctx = await _context(running, database, http, clock)
        ids = running.state.books.seed(grants, provider="google", status="valid", domain="example.com")
        await sync(ctx)
        await note_presence(ctx, redis)
        _listen_nowhere(running)
        changed = _change(running, ids)
        delivered = await _hour(running, clock)

        calls, began = running.state.calls.total, time.monotonic()
        await note_presence(ctx, redis)
        await sync_grants.run(ctx, await _asked_for(ctx))
        worked = time.monotonic() - began
        found = await _right(ctx, running, changed)
        return Outage(len(changed), found, delivered, running.state.calls.total - calls, worked)
    finally:
        await http.aclose()
        await redis.aclose()
        await database.close()
        valkey.stop()
        await running.stop()


async def _context(running: Running, database: Database, http: Any, clock: Ahead) -> Context:
    keys = Keyring([secrets.token_bytes(32)])
    application = Application(
        id=new_id(), client_id=CLIENT, api_uri=running.url, api_key="", created_at=clock(), updated_at=clock()
    )
    keys.seal(application, "api_key", KEY)
    async with database.writing() as session:
        session.add(application)
    nylas = NylasClient(api_uri=running.url, api_key=KEY, client_id=CLIENT, http=http, now=clock)
    return Context(application.id, database, nylas, keys, lambda _kind, _ids: None, clock, lambda: 0.5)


def _listen_nowhere(running: Running) -> None:
    hook = Hook("hook", f"http://127.0.0.1:{free_port()}/webhooks/nylas", "s", list(GRANT_TRIGGERS), 0)
    running.state.deliveries.hooks[hook.id] = hook


def _change(running: Running, ids: list[str]) -> set[str]:
    """Change each: most expire, one in twenty is deleted; and one in twenty more is made."""
    state = running.state
    for number, grant_id in enumerate(ids):
        grant = state.books.by_id[grant_id]
        if number % 20 == 0:
            state.tell("grant.deleted", grant)
            state.books.delete(grant)
        else:
            state.expire(grant)
    new = state.books.seed(len(ids) // 20, provider="google", status="valid", domain="new.example.com")
    for grant_id in new:
        state.tell("grant.created", state.books.by_id[grant_id])
    return {*ids, *new}


async def _hour(running: Running, clock: Ahead) -> int:
    """Let the time pass, in which Nylas tries and gives up; return how many webhooks were delivered."""
    deliveries, step = running.state.deliveries, AWAY / 12
    for _ in range(12):
        clock.by += step
        deliveries.clock.forward(int(step.total_seconds()))
        await asyncio.sleep(0.1)
    return sum(entry["outcome"] == "delivered" for entry in deliveries.log)


async def _asked_for(ctx: Context) -> list[UUID]:
    asked = select(col(Event.id)).where(col(Event.kind) == SYNC_REQUESTED, col(Event.settled_at).is_(None))
    async with ctx.database.reading() as session:
        return list((await session.scalars(asked)).all())


async def _right(ctx: Context, running: Running, changed: set[str]) -> int:
    """Count the grants that stand here as they do at Nylas."""
    async with ctx.database.reading() as session:
        ours = {grant.id: grant.status.value for grant in await session.scalars(select(Grant))}
    theirs = {id: TRUTH[grant.grant_status] for id, grant in running.state.books.by_id.items()}
    return sum(ours.get(id) == theirs.get(id, "deleted") for id in changed)


def main(grants: int) -> int:
    """Run it, and print how it went; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="evergrant-outage-") as folder:
        outcome = asyncio.run(outage(grants, Path(folder)))
    sys.stdout.write(outcome.table() + "\n")
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
