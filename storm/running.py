"""One storm, from the first part that starts to the books that are judged."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from models.database import Database
from storm.arriving import Arriving, pool
from storm.books import Books
from storm.closing import all_books, quiet
from storm.courier import Courier
from storm.disk import watched
from storm.faults import FAULTS
from storm.faults.processes import all_started
from storm.growth import Growth
from storm.invariants import quantile
from storm.leaks import Listener, in_files, leaked
from storm.nylas import Nylas
from storm.office import Office
from storm.parts import BEATS, WORKERS, Death, Parts
from storm.people import People
from storm.plan import Plan, Wave
from storm.processes import command_line
from storm.release import Release
from storm.stage import BAIT, DidNotFire, Stage, until
from storm.stretches import within

POOL = 25
TICK = 0.01
WARM_UP = 10
UNDER_WAY = 5.0
"""Seconds for which a renewal may have been under way, or on its way into the database, when a fault strikes."""
SOAK = 600.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that was to strike: what proves that it fired, or why it counts as if it had not; and the recovery."""

    kind: str
    proof: str
    fired: bool
    seconds: float
    recovery: float


@dataclass(frozen=True, slots=True)
class Terms:
    """Where a storm happens, and how long it waits for what does not come.

    It is given up that all becomes quiet when for `quiet_within` seconds nothing has changed in what is left to do.
    `program` is the module that our parts are run by, with `environ` besides. With a `release` all begin with that one.
    """

    on_postgres: bool = True
    recovers_within: float = 120.0
    quiet_within: float = 120.0
    program: str = "ingress"
    environ: Mapping[str, str] = field(default_factory=dict)
    release: Release | None = None


@dataclass(slots=True)
class Outcome:
    """What came of a storm; `waited` is how many of its seconds it took to become quiet at the end."""

    plan: Plan
    books: Books
    struck: list[Struck]
    seconds: float
    waited: float
    deaths: list[Death]
    counts: dict[str, Any] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    """What should have arrived, and did not, although it was tried again for long."""


async def run(plan: Plan, users: int, folder: Path, terms: Terms, *, tell: Tell) -> Outcome:
    """Let a storm happen in a folder; everything that was started is ended, whatever becomes of it."""
    parts = Parts(folder, on_postgres=terms.on_postgres, program=terms.program, environ=terms.environ)
    parts.release = terms.release
    began = time.monotonic()
    try:
        await parts.start("valkey", "simulator", "product", *(["postgres"] if terms.on_postgres else []))
        courier = Courier(parts.web, parts.planted.webhook_secret)
        database = Database(parts.database_url, pool_size=3)
        async with Nylas(parts.nylas, parts.planted.api_key) as nylas:
            stage = Stage(parts, nylas, courier, People(parts.web), Office(parts), database)
            stage.recovers_within = terms.recovers_within
            try:
                await _prepare(stage, plan, users)
                tell(f"all parts are up after {time.monotonic() - began:.0f} s")
                with watched(folder) as stage.disk:
                    return await _storm(stage, plan, terms, tell)
            finally:
                await courier.close()
                await database.close()
    finally:
        await asyncio.to_thread(parts.stop)


async def _prepare(stage: Stage, plan: Plan, users: int) -> None:
    """Let Nylas know its grants, and us import them; then our parts start."""
    parts, nylas = stage.parts, stage.nylas
    seeded = await nylas.control("POST", "seed", {"grants": users, "email_domain": "storm.example"})
    stage.users = [f"user{number:06}@storm.example" for number in range(1, users + 1)]
    stage.grants = dict(zip(stage.users, seeded["grants"], strict=True))
    canary = await nylas.control("POST", "seed", {"grants": 1, "email_domain": "canary.example"})
    stage.canary = canary["grants"][0]
    stage.imported |= {*seeded["grants"], stage.canary}
    with_campaign = [wave for wave in plan.waves if any(arrival.act == "campaign" for arrival in wave.arrivals)]
    for credential in (BAIT, *(pool(wave.number) for wave in with_campaign)):
        wanted = {"grants": POOL, "status": "invalid", "credential_id": credential}
        pooled = await nylas.control("POST", "seed", {**wanted, "email_domain": f"{credential}.example"})
        stage.imported |= set(pooled["grants"])
    hook = {"url": f"{parts.web}/webhooks/nylas", "secret": parts.planted.webhook_secret}
    await nylas.control("POST", "webhooks", hook)
    await nylas.control("POST", "delivery", {"parallel": 16, "retry_waits_ms": [2_000, 15_000]})
    for command in (("migrate",), ("sync",)):
        if await stage.office.run(*command) is None:
            raise RuntimeError(f"evergrant {command[0]} failed:\n{stage.office.said[-1]}")
    await parts.start("web", *WORKERS, *BEATS)
    for _ in range(WARM_UP):
        moment = await stage.hint()
        if not await until(partial(stage.is_settled, moment), seconds=stage.recovers_within):
            break


async def _storm(stage: Stage, plan: Plan, terms: Terms, tell: Tell) -> Outcome:
    began = time.monotonic()
    arriving, growth = Arriving(stage), Growth()
    listener = Listener(stage.parts.redis_url, stage.parts.folder / "monitor.txt")
    stage.courier.answered.clear()
    struck, leaks, late = list[Struck](), list[str](), list[tuple[float, float]]()
    works = stage.parts.look_after(), growth.watch(stage.parts), listener.listen(), _see_how_late(late)
    behind = [asyncio.create_task(work) for work in works]
    try:
        for wave in plan.waves:
            arrival = asyncio.create_task(arriving.wave(wave))
            if wave.strike:
                struck.append(await _strike(stage, wave))
                tell(f"{len(struck)}/{len(plan.strikes)} {struck[-1].kind}: {struck[-1].proof}")
            await arrival
            leaks += await _looked_over(stage)
        tell("waiting for quiet")
        over = time.monotonic()
        left = await quiet(stage, arriving, within=terms.quiet_within)
        waited = time.monotonic() - over
    finally:
        for task in behind:
            task.cancel()
        await asyncio.gather(*behind, return_exceptions=True)
    seconds = time.monotonic() - began
    books = await all_books(stage, arriving)
    books.recoveries = [one.recovery for one in struck]
    books.late = quantile([by for at, by in late if not within(at, by, stage.troubled)], 0.99)
    books.growth = dict(growth.ratios()) if seconds >= SOAK else {}
    books.secrets_found = leaks + await asyncio.to_thread(_leaks, stage)
    if not listener.heard:
        books.secrets_found.append("nothing that was said to Valkey was listened to")
    office, people, courier = stage.office, stage.people, stage.courier
    given_up = [*courier.given_up, *office.given_up, *arriving.failed]
    if people.given_up:
        given_up.append(f"{people.given_up} sign-ins")
    counts = {
        "webhooks taken": f"{len(courier.sent)} of {plan.webhooks} and {len(plan.strikes)} canaries or more",
        "webhooks refused, and brought again": dict(sorted(courier.refused.items())) or "none",
        "sign-ins that came to an end": f"{people.finished}, {len(people.codes)} codes, {people.sent_back} begun anew",
        "commands": f"{office.done} done, {office.failed} failed at first, {len(office.campaigns)} campaigns",
        "said to Valkey": f"{listener.heard} commands were listened to",
        "growth": {what: ratio and round(ratio, 2) for what, ratio in growth.ratios().items()},
    }
    return Outcome(plan, books, struck, seconds, waited, stage.parts.deaths, counts, left, given_up)


async def _see_how_late(late: list[tuple[float, float]]) -> None:
    """Note when a timer was due, and by how much it was late, again and again, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TICK
        await asyncio.sleep(TICK)
        late.append((due, loop.time() - due))


async def _strike(stage: Stage, wave: Wave) -> Struck:
    """Let a fault strike, and see how long it takes until all is well again."""
    strike = wave.strike
    assert strike
    await asyncio.sleep(strike.after)
    began, since, doubtful = time.monotonic(), time.time(), stage.interrupted
    fired = True
    try:
        proof = await FAULTS[strike.kind].blow(stage, strike.draw)
    except DidNotFire as error:
        proof, fired = f"DID NOT FIRE: {error}", False
    over = time.monotonic()
    if strike.kind.startswith("product"):
        await _told_again(stage)
    moment = await stage.hint()
    if not await until(lambda: stage.is_settled(moment), seconds=stage.recovers_within):
        proof += "; and nothing was settled after it"
    recovered = time.monotonic()
    await all_started()
    await asyncio.gather(*stage.baits)
    stage.baits.clear()
    stage.troubled.append((began, time.monotonic()))
    if stage.interrupted > doubtful:
        stage.ambiguous.append((since - UNDER_WAY, time.time()))
    return Struck(strike.kind, proof, fired, over - began, recovered - over)


async def _told_again(stage: Stage) -> None:
    """Wait until the product hears something."""
    before = await stage.product_has_heard()
    news = asyncio.create_task(stage.people.sign_in(f"news-{before}@storm.example"))

    async def heard() -> bool:
        return await stage.product_has_heard() > before

    await until(heard, seconds=stage.recovers_within)
    await news


async def _looked_over(stage: Stage) -> list[str]:
    """Look for secrets in what goes by: process lists, and what web shows of itself."""
    secrets = _secrets(stage)
    lines = "\n".join(command_line(pid) for pid in stage.parts.all_pids() if "simulator" not in command_line(pid))
    found = [f"{one[:12]}… stands in a process list" for one in leaked(lines, secrets)]
    return [*found, *(f"{one[:12]}… is shown by web" for one in leaked(await stage.shown_by_web(), secrets))]


def _leaks(stage: Stage) -> list[str]:
    folder, secrets = stage.parts.folder, _secrets(stage)
    said = folder / "commands.txt"
    said.write_text("\n".join(stage.office.said))
    theirs = {"simulator.log", "product.log"}
    logs = [log for log in folder.glob("*.log") if log.name not in theirs]
    of_servers = [*folder.glob("valkey/*.log"), *folder.glob("postgres/*.log")]
    return in_files([*logs, *of_servers, said, folder / "monitor.txt"], secrets)


def _secrets(stage: Stage) -> list[str]:
    planted = stage.parts.planted
    ours = [planted.api_key, planted.webhook_secret, planted.notice_secret, planted.sealing_key]
    return [*ours, *stage.people.codes]
