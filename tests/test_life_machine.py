"""The real tasks as a machine: hints, truths, faults, crashes and time in any order, on a database and a socket."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import delete, select
from sqlmodel import SQLModel, col

from lifecycle import GrantStatus, Policy
from lifecycle.brake import BrakeLimits
from lifecycle.incidents import Thresholds
from lifecycle.spells import GRACE
from models import Application, Delivery, Endpoint, Event, Grant, Notice, NoticeKind, Outcome, Transition
from models.claims import claim, open_at
from models.columns import new_id
from models.database import Database
from models.kinds import GRANT_CREATED, GRANT_DELETED, GRANT_EXPIRED, GRANT_REPORTED, GRANT_UPDATED, NOTICE_DUE
from models.sealing import Keyring
from nylas_api import HttpClient, NylasClient, open_http
from simulator import Running, start
from tasks.context import Context
from tasks.observing import Observer
from tasks.sync import sync
from tests.conftest import API_KEY, CLIENT_ID, HURRY, Rings, SetClock
from tests.life import TASKS
from tests.stories import at_nylas, fails, hints, known, recovers

T = TypeVar("T")
LIVES, EXAMPLES = 5, int(os.environ.get("EVERGRANT_TEST_LIFE_EXAMPLES", "8"))
ALL = "/v3/grants*"
FAULTS: Sequence[dict[str, Any]] = (
    {"status": 503},
    {"status": 429},
    {"status": 403, "body": "<html>Attention Required!</html>"},
    {"status": 200, "body": "<html>Maintenance</html>"},
    {"mode": "drop"},
)
HINTS = {"valid": GRANT_UPDATED, "invalid": GRANT_EXPIRED, "gone": GRANT_DELETED}
KINDS = (GRANT_CREATED, GRANT_UPDATED, GRANT_EXPIRED, GRANT_DELETED, GRANT_REPORTED)
POLICY = Policy(thresholds=Thresholds(number=10**6, share=2.0), limits=BrakeLimits(0, 0, 0))


works = st.sampled_from(["on all", "on hints", "on all", "on hints", "not at all"])
seconds = st.sampled_from([1, 60, 125, 60, 125, 900, 4_000, 90_000, 300_000])


class World:
    """One database, one simulator and one client for all examples; the rows are cleared between them."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.runner, self.clock, self.rings = runner, SetClock(), Rings()
        self.database = Database(url)
        self.keys = Keyring([secrets.token_bytes(32)])
        self.sim: Running = runner.run(start(api_key=API_KEY, client_id=CLIENT_ID))
        self.http: HttpClient = runner.run(self._opened())

    async def _opened(self) -> HttpClient:
        return open_http(connections=10)

    async def fresh(self) -> Context:
        """Begin anew: no rows but the application's and an endpoint's, and nothing at Nylas."""
        self.sim.state.reset()
        now = self.clock()
        application = Application(
            id=new_id(), client_id=CLIENT_ID, api_uri=self.sim.url, api_key="", created_at=now, updated_at=now
        )
        self.keys.seal(application, "api_key", API_KEY)
        endpoint = Endpoint(
            application_id=application.id, url="https://product.example", secret="", source="cli", created_at=now
        )
        self.keys.seal(endpoint, "secret", "whsec_c2VjcmV0")
        async with self.database.writing() as session:
            for table in reversed(SQLModel.metadata.sorted_tables):
                await session.execute(delete(table))
            session.add(application)
            await session.flush()
            session.add(endpoint)
        nylas = NylasClient(
            api_uri=self.sim.url, api_key=API_KEY, client_id=CLIENT_ID, http=self.http, now=self.clock, attempts=1
        )
        ring, chance = self.rings, 0.5
        return Context(
            application.id,
            self.database,
            nylas,
            self.keys,
            ring,
            self.clock,
            lambda: chance,
            policy=POLICY,
            observer=Observer(patience_each=HURRY),
        )

    async def close(self) -> None:
        await self.http.aclose()
        await self.database.close()
        await self.sim.stop()


@pytest.fixture(scope="module")
def world(migrated_sqlite: Path) -> Iterator[World]:
    """In memory, where the machine has such a file system: what is tried here is not the disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None))
        shutil.copyfile(migrated_sqlite, f"{folder}/evergrant.db")
        runner = stack.enter_context(asyncio.Runner())
        world = World(f"sqlite:///{folder}/evergrant.db", runner)
        yield world
        runner.run(world.close())


class Lives(RuleBasedStateMachine):
    """A few grants, whatever happens to them at Nylas and to us, and what is told of it."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.ctx = self.run(self.world.fresh())
        self.truth: dict[str, str] = dict.fromkeys(self.run(known(self.ctx, self.world.sim, LIVES)), "valid")
        self.grants = list(self.truth)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.world.runner.run(work)

    @rule(
        seconds=seconds,
        truths=st.lists(st.sampled_from(["same", "invalid", "valid", "other", "gone"]), min_size=LIVES, max_size=LIVES),
        times_told=st.sampled_from([1, 1, 2, 0]),
        works=works,
    )
    def they_change_at_nylas(self, seconds: int, truths: list[str], times_told: int, works: str) -> None:
        """Word of it may be lost, or come twice, also where nothing is new."""
        self.world.clock.forward(seconds=seconds)
        for grant_id, truth in zip(self.grants, truths, strict=True):
            before = self.truth[grant_id]
            truth = {"other": "invalid" if before == "valid" else "valid", "same": before}.get(truth, truth)
            if before not in ("gone", truth):
                self._changes(grant_id, truth)
        for truth, kind in HINTS.items():
            so_now = [grant_id for grant_id in self.grants if self.truth[grant_id] == truth]
            self.run(hints(self.ctx, kind, *so_now * times_told))
        self.the_worker_works(works)

    def _changes(self, grant_id: str, truth: str) -> None:
        self.truth[grant_id] = truth
        theirs, books = at_nylas(self.world.sim, grant_id), self.world.sim.state.books
        match truth:
            case "valid":
                books.touch(theirs)
            case "invalid":
                theirs.grant_status = "invalid"
            case _:
                books.delete(theirs)

    @rule(seconds=seconds, kind=st.sampled_from(KINDS), minutes_old=st.integers(0, 90), works=works)
    def hints_are_late_or_wrong(self, seconds: int, kind: str, minutes_old: int, works: str) -> None:
        """About all of them: a look is had at each."""
        self.world.clock.forward(seconds=seconds)
        self.run(hints(self.ctx, kind, *self.grants, occurred_ago=timedelta(minutes=minutes_old)))
        self.the_worker_works(works)

    @rule(seconds=seconds, works=works)
    def time_passes(self, seconds: int, works: str) -> None:
        self.world.clock.forward(seconds=seconds)
        self.the_worker_works(works)

    @rule(fault=st.sampled_from(FAULTS), seconds=seconds)
    def nylas_fails_for_a_while(self, fault: dict[str, Any], seconds: int) -> None:
        self.run(fails(self.world.sim, ALL, **fault))
        self.the_worker_works()
        self.world.clock.forward(seconds=seconds)
        self.the_worker_works("on hints")
        self.run(recovers(self.world.sim))

    @rule(works=works)
    def a_worker_dies_with_all_that_is_due_in_hand(self, works: str) -> None:
        self.run(self._claim_all())
        self.the_worker_works(works)
        self.world.clock.forward(seconds=self.ctx.lease.total_seconds() + 1)

    def the_worker_works(self, works: str = "on all") -> None:
        """It may be slow to tell, or to do anything."""
        if works != "not at all":
            self.run(self._work(tells=works == "on all"))
            self.run(self._check())

    async def _claim_all(self) -> None:
        for model in (Event, Notice):
            async with self.ctx.database.writing() as session:
                due = (await session.scalars(select(col(model.id)).where(open_at(model, self.ctx.now())))).all()
                await claim(session, model, due, now=self.ctx.now(), lease=self.ctx.lease)

    async def _work(self, *, tells: bool = True) -> None:
        """Do what is due, as it is found in the rows: what the tasks rang for themselves was lost on its way."""
        for _ in range(8):
            async with self.ctx.database.reading() as session:
                events = (await session.scalars(select(Event).where(open_at(Event, self.ctx.now())))).all()
                free = select(col(Notice.id)).where(open_at(Notice, self.ctx.now()), col(Notice.held_by).is_(None))
                notices = (await session.scalars(free)).all()
            self.world.rings.heard.clear()
            for kind in sorted({event.kind for event in events}):
                await TASKS[kind](self.ctx, [event.id for event in events if event.kind == kind])
            if notices and tells:
                await TASKS[NOTICE_DUE](self.ctx, notices)
            if not events and not (notices and tells):
                return

    async def _check(self) -> None:
        async with self.ctx.database.reading() as session:
            grants = {row.id: row for row in await session.scalars(select(Grant))}
            notices = (await session.scalars(select(Notice).order_by(col(Notice.seq)))).all()
            moves = (await session.scalars(select(Transition).order_by(col(Transition.id)))).all()
            delivered = set((await session.scalars(select(col(Delivery.notice_id)))).all())
        for grant_id, grant in grants.items():
            self._check_moves(grant, [move for move in moves if move.grant_id == grant_id])
            self._check_notices(grant, [one for one in notices if one.grant_id == grant_id])
        for notice in notices:
            assert (notice.id in delivered) == (notice.outcome is Outcome.DONE), "only what is released is delivered"

    def _check_moves(self, grant: Grant, moves: list[Transition]) -> None:
        status = None
        for move in moves:
            assert move.old_status == status, "history has no gap"
            assert move.cause
            assert move.event_id or move.cause == "sync", "each change has its cause"
            status = move.new_status
        assert status == grant.status

    def _check_notices(self, grant: Grant, notices: list[Notice]) -> None:
        open_kinds = [notice.kind for notice in notices if notice.settled_at is None]
        assert len(open_kinds) == len(set(open_kinds)), "one open notice of a kind"
        told_dead = False
        for notice in notices:
            if notice.outcome is not Outcome.DONE:
                continue
            match notice.kind:
                case NoticeKind.EXPIRED:
                    assert notice.settled_at is not None
                    assert notice.settled_at - notice.created_at >= GRACE, "nobody is told before the second look"
                    assert not told_dead
                    told_dead = True
                case NoticeKind.REAUTH_REQUIRED:
                    assert told_dead
                case NoticeKind.RECOVERED:
                    assert told_dead, "who recovers was told of as expired before"
                    told_dead = False
                case NoticeKind.VALID | NoticeKind.GAP | NoticeKind.DELETED | NoticeKind.UNATTENDED:
                    pass
                case _:
                    raise AssertionError(f"{notice.kind} is not of a grant")
        if grant.status is GrantStatus.EXPIRED and grant.confirmed_at is None:
            assert not told_dead or NoticeKind.RECOVERED in open_kinds, "what was told before is over, or soon told so"

    def teardown(self) -> None:
        """In the end nothing fails any more, and each grant is as it is at Nylas."""
        self.the_worker_works()
        self.world.clock.forward(seconds=1)  # what was looked at in the same instant would not count as missing
        self.run(sync(self.ctx))
        for _ in range(2):
            self.world.clock.forward(hours=2)
            self.run(self._work())
        self.run(self._check())
        self.run(self._settled(self.ctx.now()))

    async def _settled(self, now: datetime) -> None:
        async with self.ctx.database.reading() as session:
            assert (await session.scalars(select(Event).where(col(Event.settled_at).is_(None)))).all() == []
            grants = {row.id: row for row in await session.scalars(select(Grant))}
            notices = (await session.scalars(select(Notice).where(col(Notice.due_at) <= now))).all()
        words = {"valid": GrantStatus.VALID, "invalid": GrantStatus.EXPIRED, "gone": GrantStatus.DELETED}
        assert {grant_id: grant.status for grant_id, grant in grants.items()} == {
            grant_id: words[truth] for grant_id, truth in self.truth.items()
        }
        assert [notice for notice in notices if notice.settled_at is None] == []
        for grant_id, truth in self.truth.items():
            told = [one.kind for one in notices if one.grant_id == grant_id and one.outcome is Outcome.DONE]
            told_dead = told[-1:] and told[-1] not in (NoticeKind.RECOVERED, NoticeKind.GAP, NoticeKind.DELETED)
            assert bool(told_dead) == (truth == "invalid"), "and the product knows"


def test_whatever_happens_only_what_is_sure_is_told_and_all_ends_as_it_is_at_nylas(world: World) -> None:
    Lives.world = world
    run_state_machine_as_test(Lives, settings=settings(max_examples=EXAMPLES, stateful_step_count=10, deadline=None))
