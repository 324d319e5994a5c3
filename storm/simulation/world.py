"""The world of a run: Evergrant's processes, their database, Nylas and the product, and the time of all of them."""

import asyncio
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar
from uuid import UUID

from lifecycle import Policy
from lifecycle.brake import BrakeLimits
from lifecycle.incidents import Thresholds
from models import Application, Endpoint
from models.columns import new_id
from models.migrations.run import upgrade
from models.sealing import Keyring
from nylas_api import NylasClient
from storm.books import Sent
from storm.simulation.foretold import Foretold, foretold
from storm.simulation.loop import VirtualLoop
from storm.simulation.nylas import InProcess
from storm.simulation.process import Process, new_task
from storm.simulation.product import URL, Product, ToTheProduct
from storm.simulation.spool import SimulatedSpool
from storm.simulation.sqlite import Server, SimulatedDatabase
from storm.simulation.watching import TRIGGERS
from storm.simulation.wire import Line
from tasks.context import Context
from tasks.sync import sync
from worker.onward import Onward
from worker.settings import Settings

T = TypeVar("T")
BEGAN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
API_KEY, CLIENT_ID, WEBHOOK_SECRET = "nyk_of_the_simulation", "simulation", "webhook-secret-of-the-simulation"
CREDENTIAL = "service-account"
RENEWABLE, OTHERS = 3, 2
POLICY = Policy(thresholds=Thresholds(number=10**6, share=2.0, handful=10**6), limits=BrakeLimits(0, 0, 0))
IMPORTED_AGO = 3600.0


@dataclass(slots=True)
class Hands:
    """A process, and what its tasks are handed."""

    process: Process
    ctx: Context
    onward: Onward


@dataclass(slots=True)
class Notes:
    """What is known of a run besides the books of both sides."""

    sent: dict[str, Sent] = field(default_factory=dict)
    expiries: Counter[str] = field(default_factory=Counter)
    deleted: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    interrupted: int = 0
    broken: list[str] = field(default_factory=list)


class World:
    """All runs are in one world, on one loop; each begins with the same database and the same Nylas."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.loop.set_task_factory(new_task)
        self.drawn = Foretold(self.seconds)
        self.stack = ExitStack()
        self.notes, self.rings = Notes(), list[tuple[str, list[UUID]]]()
        self.hands: dict[str, Hands] = {}
        self.started = 0
        self.trace = hashlib.blake2b(digest_size=8)

    def __enter__(self) -> Self:
        """Open it."""
        folder = Path(self.stack.enter_context(TemporaryDirectory(prefix="evergrant-simulation-", dir=_memory())))
        self.server = Server(folder / "evergrant.db", random=self.drawn.number)
        opened = foretold(self.drawn, connect=self.server.connect, now=self.seconds)
        self.stack.enter_context(opened)
        self.keys = Keyring([self.drawn.bytes(32)])
        self.nylas = InProcess(api_key=API_KEY, client_id=CLIENT_ID)
        self.product = Product(self.now)
        self.line = Line(self.nylas, spoilt=self._spoilt)
        self.settings = Settings.model_construct(public_url="https://evergrant.example.com")
        self.run(self._prepare())
        self.loop.set_exception_handler(self._unexpected)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.run(self._end_all())
        self.run(self.database.close())
        self.look.close()
        self.spool.shut()
        self.template.close()
        self.stack.close()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the loop."""
        return self.loop.run_until_complete(work)

    def seconds(self) -> float:
        """The time, as unix seconds."""
        return BEGAN.timestamp() + self.loop.time()

    def now(self) -> datetime:
        """The time."""
        return BEGAN + timedelta(seconds=self.loop.time())

    async def _prepare(self) -> None:
        """Migrate once, let Nylas have some grants, and import them: each run begins there."""
        self.database = SimulatedDatabase(f"sqlite:///{self.server.file}")
        await upgrade(self.database)
        application = Application(
            id=new_id(),
            client_id=CLIENT_ID,
            api_uri="https://api.us.nylas.com",
            api_key="",
            created_at=self.now(),
            updated_at=self.now(),
        )
        self.application_id = application.id
        self.keys.seal(application, "api_key", API_KEY)
        endpoint = Endpoint(
            id=new_id(),
            application_id=application.id,
            url=URL,
            secret="",
            kinds=[],
            source="cli",
            created_at=self.now(),
        )
        self.keys.seal(endpoint, "secret", self.product.secret)
        async with self.database.writing() as session:
            session.add(application)
            await session.flush()
            session.add(endpoint)
        self._seed()
        self.look = sqlite3.connect(self.server.file, check_same_thread=False)
        await sync(self.worker("one").ctx)
        for trigger in TRIGGERS:
            self.look.execute(trigger)
        self.look.commit()
        self.spool = SimulatedSpool(self.server.file)
        self.template = sqlite3.connect(":memory:")
        self.look.backup(self.template)

    def _seed(self) -> None:
        self.nylas.state.reset(seed=0)
        for number, credential in ((RENEWABLE, CREDENTIAL), (OTHERS, None)):
            ids = self.nylas.state.books.seed(
                number, provider="google", status="valid", domain="example.com", credential=credential
            )
            self.notes.imported.update(ids)

    def begin(self) -> None:
        """Begin with a run."""
        self.run(self._end_all())
        self.loop.begin_anew(IMPORTED_AGO)
        self.drawn.begin_anew()
        self.template.backup(self.look)
        self.server.begin_anew()
        self.spool.empty()
        self.line.begin_anew()
        self.product.begin_anew()
        self.notes, self.trace = Notes(), hashlib.blake2b(digest_size=8)
        self.rings.clear()
        self.hands.clear()
        self.started = 0
        self._seed()
        self.grants = sorted(self.notes.imported)

    async def _end_all(self) -> None:
        for hands in self.hands.values():
            await hands.process.bury()
        for task in self.line.late:
            task.cancel()
        if self.line.late:
            await asyncio.wait(self.line.late)

    def worker(self, name: str) -> Hands:
        """The process of this name; a new one, if the last is dead."""
        if name in self.hands and not self.hands[name].process.dead:
            return self.hands[name]
        self.started += 1
        process = Process(f"{name} ({self.started})", self.traced, self.drawn.chance)
        nylas = NylasClient(
            api_uri="https://api.us.nylas.com",
            api_key=API_KEY,
            client_id=CLIENT_ID,
            http=self.line,
            now=self.now,
            chance=self.drawn.chance.random,
        )
        ctx = Context(
            self.application_id,
            self.database,
            nylas,
            self.keys,
            self._ring,
            self.now,
            self.drawn.chance.random,
            policy=POLICY,
            outbound=ToTheProduct(self.product),
        )
        self.hands[name] = Hands(process, ctx, Onward())
        return self.hands[name]

    def on_their_way(self) -> list[tuple[bytes, Sent]]:
        """Take the webhooks that have not come yet."""
        told = self.nylas.deliveries.told
        taken = [(event.raw(1), Sent(event.id)) for event in told]
        told.clear()
        return taken

    def traced(self, what: str) -> None:
        """Note what happened, so that two runs can be compared."""
        self.trace.update(f"{self.loop.time():.6f} {what}\n".encode())

    def _ring(self, kind: str, ids: Sequence[UUID]) -> None:
        if ids:
            self.rings.append((kind, list(ids)))

    def _spoilt(self, path: str) -> None:
        if path == "/v3/connect/custom":
            self.notes.interrupted += 1

    def _unexpected(self, _loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        error = told.get("exception")
        if isinstance(error, Exception):
            self.notes.broken.append(f"nobody looks at what failed: {error!r}")


def _memory() -> str | None:
    """A folder in memory, where the machine has such a file system: what is tried here is not the disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
    return str(memory) if memory.is_dir() else None
