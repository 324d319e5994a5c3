"""Backup and restore: an hour-old database comes back, its leases and sessions do no harm, and a sync repairs it."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from ingress.embedded import _postgres_binaries
from lifecycle import GrantStatus
from models import AuthSessionStatus, CampaignItem, CampaignStatus, Event, Outcome
from models.claims import claim
from models.kinds import GRANT_UPDATED
from simulator import Running
from tasks.sync import sync
from tests.bulk import ACCOUNT, standing, started
from tests.life import Life, life
from tests.stories import all_grants, at_nylas, came_back, hints, known, outcomes, seed, the_items, the_session

__all__ = ["life"]
TRUTH = {"valid": GrantStatus.VALID, "invalid": GrantStatus.EXPIRED}


def dump(url: str, into: Path) -> None:
    """Back a database up as docs/operations.md says, while it is in use."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as live, closing(sqlite3.connect(into)) as copy:
            live.backup(copy)
    else:
        run("pg_dump", "--format=custom", f"--file={into}", url)


def wipe_and_restore(url: str, dumped: Path) -> None:
    """Lose the database, and bring the backup in its place."""
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        for lost in file.parent.glob(f"{file.name}*"):
            if lost.suffix != ".writing":
                lost.unlink()
        with closing(sqlite3.connect(dumped)) as copy, closing(sqlite3.connect(file)) as live:
            copy.backup(live)
    else:
        run("pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={url}", str(dumped))


def run(program: str, *arguments: str) -> None:
    """Run a program that comes with PostgreSQL."""
    done = subprocess.run([_postgres_binaries() / program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def truth(sim: Running) -> dict[str, GrantStatus]:
    """What Nylas says of each grant."""
    return {id: TRUTH[grant.grant_status] for id, grant in sim.state.books.by_id.items()}


async def ours(life: Life) -> dict[str, GrantStatus]:
    """What we say of each that is not deleted."""
    grants = (await all_grants(life.ctx)).values()
    return {grant.id: grant.status for grant in grants if grant.status is not GrantStatus.DELETED}


@pytest.mark.long
async def test_an_hour_old_backup_is_repaired_by_a_sync(life: Life, database_url: str, tmp_path: Path) -> None:
    ctx, sim = life.ctx, life.sim
    grants = await known(ctx, sim, 60)
    renewed = await known(ctx, sim, 5, status="invalid", credential_id=ACCOUNT)
    campaign = await started(ctx)
    sign_in = await came_back(ctx)
    held = await hints(ctx, GRANT_UPDATED, *grants[:5])
    async with ctx.database.writing() as session:
        await claim(session, Event, held, now=ctx.now(), lease=ctx.lease)
        items = [item.id for item in await the_items(ctx, campaign)]
        await claim(session, CampaignItem, items[:20], now=ctx.now(), lease=ctx.lease)
    backup = tmp_path / "backup"
    dump(database_url, backup)

    await life.passes(minutes=59)
    assert (await the_session(ctx, sign_in)).status is AuthSessionStatus.DONE
    assert await standing(ctx, campaign) is CampaignStatus.FINISHED
    for grant_id in grants[:10]:
        at_nylas(sim, grant_id).grant_status = "invalid"
    sim.state.books.delete(at_nylas(sim, grants[-1]))
    seed(sim, 4)
    await life.passes(minutes=1)

    await ctx.database.close()
    wipe_and_restore(database_url, backup)
    exchanged = sim.state.calls.by_path["POST /v3/connect/token"]
    assert exchanged == 1
    life.rings.heard.clear()
    assert await ours(life) != truth(sim)
    assert (await the_session(ctx, sign_in)).status is AuthSessionStatus.RETURNED

    await sync(ctx)
    await life.passes(hours=1)
    assert await ours(life) == truth(sim)
    assert set(await outcomes(ctx, held)) == {Outcome.DONE}
    assert await standing(ctx, campaign) is CampaignStatus.FINISHED
    assert {item.settled_at is not None for item in await the_items(ctx, campaign)} == {True}
    assert all(at_nylas(sim, grant_id).grant_status == "valid" for grant_id in renewed)
    ended = await the_session(ctx, sign_in)
    assert ended.status not in (AuthSessionStatus.RETURNED, AuthSessionStatus.EXCHANGING)
    assert sim.state.calls.by_path["POST /v3/connect/token"] - exchanged <= 1, "a code that was spent is refused once"
