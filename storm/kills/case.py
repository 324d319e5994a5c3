"""One case: a process works and dies at a point, another one goes on, and both sides' books are read."""

import asyncio
import multiprocessing
import secrets
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from models import Application, Endpoint
from models.columns import new_id
from models.database import Database
from models.sealing import Keyring
from nylas_api import open_http
from simulator import Running, start
from storm import reading
from storm.books import Books, Truth
from storm.kills.ground import Databases, Product, a_product
from storm.kills.judging import judged, told_again, too_often
from storm.kills.kinds import Ground, Kind
from storm.kills.life import API_KEY, CLIENT_ID, Order, live, open_context
from storm.kills.points import Point, read_points
from storm.kills.reading import AtTheKill, Said, at_the_kill, deletions, ending, heard_twice, left_open, mailboxes
from storm.kills.reading import renewals as renewals_of
from tasks.clock import system_clock
from tasks.notices.outbound import Outbound

SEED = 7
LIFE_WITHIN = 60.0
KILLED = -9
TURNS, A_TURN = 10, 0.005
Change = Callable[[], None]

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["storm.kills.life", "storm.kills.kinds"])


@dataclass(frozen=True, slots=True)
class Result:
    """How a case ended; `broken` says what is wrong, `points` which points the first life passed."""

    kind: str
    fatal: Point | None
    fired: bool
    broken: list[str]
    points: list[Point] = field(default_factory=list)
    said: Counter[Said] = field(default_factory=Counter)
    given_up: int = 0
    repeated: int = 0
    """Calls that were made at Nylas a second time."""
    told_twice: int = 0


async def run_case(
    kind: Kind,
    databases: Databases,
    *,
    lane: int = 0,
    fatal: Point | None = None,
    undisturbed: Counter[Said] | None = None,
    change: Change | None = None,
) -> Result:
    """Run a case. Without a `fatal` point nobody dies: that is the run which all others are compared with."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evergrant-kill-")))
        url = await stack.enter_async_context(databases.fresh(lane))
        sim = await start(api_key=API_KEY, client_id=CLIENT_ID, seed=SEED)
        stack.push_async_callback(sim.stop)
        product = await stack.enter_async_context(a_product(lambda: _now(sim)))
        ground, key = await stack.enter_async_context(_grounded(url, sim, product))
        told = await kind.prepare(ground)
        sim.state.calls.by_grant.clear()
        order = Order(
            database_url=url,
            nylas_url=sim.url,
            application_id=ground.ctx.application_id,
            sealing_key=key,
            arrive=kind.arrive,
            told=told,
            until=_now(sim) + kind.lasts,
            passed=folder / "passed",
            arrived=folder / "arrived",
            log=folder / "log",
            fatal=fatal,
            change=change,
        )
        return await _lived(kind, ground, product, order, undisturbed)


async def _lived(
    kind: Kind, ground: Ground, product: Product, order: Order, undisturbed: Counter[Said] | None
) -> Result:
    code, fatal, sim = await _life(order), order.fatal, ground.sim
    points, kill = read_points(order.passed), AtTheKill()
    broken = list[str]()
    if fatal and code == KILLED:
        await _nothing_on_its_way(sim)
        kill = await at_the_kill(ground, await mailboxes(ground.ctx.database))
        again = replace(
            order,
            arrive=None if order.arrived.exists() else order.arrive,
            passed=order.passed.with_name("passed-then"),
            fatal=None,
        )
        code = await _life(again)
    if code != 0:
        last = order.log.read_text().strip().splitlines()[-12:] if order.log.exists() else []
        broken.append(f"a process ended with {code}:\n" + "\n".join(last))
    of, books = await mailboxes(ground.ctx.database), await _books(ground, product, kill)
    renewed, deleted = renewals_of(ground), deletions(ground, of)
    said, twice = await ending(ground.ctx.database, books), heard_twice(product)
    broken += judged(books, said, said if undisturbed is None else undisturbed, kill)
    broken += await left_open(ground.ctx.database, min(_now(sim), order.until))
    broken += too_often("Nylas renewed the grant", renewed, kill.renewals, kill)
    broken += too_often("Nylas was asked to delete the grant", deleted, kill.deletions, kill)
    broken += told_again(twice, kill)
    return Result(
        kind.name,
        fatal,
        fatal is None or fatal in points,
        broken,
        points,
        said,
        len(kill.given_up),
        sum(count - 1 for count in [*renewed.values(), *deleted.values()] if count > 1),
        len(twice),
    )


async def _life(order: Order) -> int:
    """Let a process live; return its exit code. One that lives for too long is ended, and has failed."""
    life = forks.Process(target=live, args=(order,), daemon=True)
    life.start()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(life.sentinel, ended.set)
    try:
        async with asyncio.timeout(LIFE_WITHIN):
            await ended.wait()
    except TimeoutError:
        life.kill()
    finally:
        loop.remove_reader(life.sentinel)
    life.join()
    code = life.exitcode
    life.close()
    return code if code is not None and ended.is_set() else 1


async def _nothing_on_its_way(sim: Running) -> None:
    """Let Nylas take in what the dead process had sent: the loop turns a few times for each connection."""
    turns = 0
    while turns < TURNS or sim.state.calls.in_flight:
        await asyncio.sleep(A_TURN)
        turns += 1


def _now(sim: Running) -> datetime:
    return system_clock() + timedelta(seconds=sim.state.clock.ahead)


@asynccontextmanager
async def _grounded(url: str, sim: Running, product: Product) -> AsyncIterator[tuple[Ground, bytes]]:
    """The tables with an application and an endpoint, and a worker of the case's own that prepares the rest."""
    key, now = secrets.token_bytes(32), system_clock()
    database, http, keys = Database(url), open_http(connections=10), Keyring([key])
    application = Application(
        id=new_id(), client_id=CLIENT_ID, api_uri=sim.url, api_key="", created_at=now, updated_at=now
    )
    keys.seal(application, "api_key", API_KEY)
    endpoint = Endpoint(
        id=new_id(), application_id=application.id, url=product.url, secret="", kinds=[], source="cli", created_at=now
    )
    keys.seal(endpoint, "secret", product.secret)
    try:
        async with database.writing() as session:
            session.add(application)
            await session.flush()
            session.add(endpoint)
        ctx = open_context(
            database,
            http,
            nylas_url=sim.url,
            application_id=application.id,
            sealing_key=key,
            now=lambda: _now(sim),
            ring=lambda _kind, _ids: None,
            outbound=Outbound(),
        )
        yield Ground(ctx, sim), key
    finally:
        await http.aclose()
        await database.close()


async def _books(ground: Ground, product: Product, kill: AtTheKill) -> Books:
    """The storm's books of this case."""
    database, state = ground.ctx.database, ground.sim.state
    truth = Truth(
        grants={id: grant.grant_status for id, grant in state.books.by_id.items()},
        emails={id: grant.email for id, grant in state.books.by_id.items()},
        imported=ground.imported,
        deleted=ground.deleted,
        code_ends=dict(state.calls.code_ends),
    )
    truth.expiries.update(ground.expiries)
    truth.renewals.update(state.calls.renewals)
    return Books(
        events=[replace(row, told=None) for row in await reading.events(database)],
        grants=await reading.grants(database),
        transitions=await reading.transitions(database),
        notices=await reading.notices(database),
        heard=reading.heard(product.heard),
        sign_ins=await reading.sign_ins(database),
        items=await reading.items(database),
        truth=truth,
        interrupted=sum(count > 0 and email not in kill.settled for email, count in kill.renewals.items()),
    )
