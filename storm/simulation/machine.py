"""The machine: the steps that hypothesis draws, and what must hold after each of them and in the end."""

import asyncio
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from storm.books import Sent
from storm.poison import BODIES
from storm.simulation import judging, outside
from storm.simulation.ending import ends_well
from storm.simulation.outside import AtNylas, Visit, Web
from storm.simulation.passes import Staff, Work, on_message, sweeps
from storm.simulation.product import TROUBLES
from storm.simulation.wire import KINDS, PLACES, Fault
from storm.simulation.world import World

who = st.integers(0, 7)
which = st.integers(0, 15)
points = st.one_of(st.integers(3, 8), st.integers(1, 30))
seconds = st.sampled_from([1, 4, 16, 61, 125, 600, 4_000])
MOST_SYNCS, MOST_CAMPAIGNS = 3, 4
HINTS = ("grant.expired", "grant.updated", "grant.deleted", "grant.created")


class Broken(AssertionError):
    """A run that did not hold what is promised."""


class Simulation(RuleBasedStateMachine):
    """A few grants, whatever happens to them, to us, and between us and Nylas."""

    world: ClassVar[World]
    runs: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.world.begin()
        self.staff, self.web, self.at_nylas = Staff(self.world), Web(self.world), AtNylas(self.world)
        self.visits, self.campaigns, self.number = list[Visit](), list[UUID](), 0
        self.syncs, self.anything = 0, False

    def _does(self, name: str, work: Work, **how: Any) -> Any:
        self.anything = True
        came = self.staff.does(name, work, **how)
        self._holds(judging.at_once(self.world))
        return came

    def _holds(self, broken: list[str]) -> None:
        if broken:
            raise Broken("\n".join(broken))

    def _key(self, what: str) -> str:
        self.number += 1
        return f"{what}:{self.number}"

    def _next_message(self, number: int) -> Work:
        rings = self.world.rings
        return on_message(*rings.pop(number % len(rings))) if rings else sweeps

    @rule(number=who)
    def a_grant_expires(self, number: int) -> None:
        self.at_nylas.expires(number)

    @rule(number=who)
    def a_user_recovers_by_another_door(self, number: int) -> None:
        self.at_nylas.recovers(number)

    @rule(number=who)
    def a_grant_is_deleted_at_nylas(self, number: int) -> None:
        self.at_nylas.is_deleted(number)

    @rule(number=who, kind=st.sampled_from(HINTS))
    def nylas_tells_what_is_not_so(self, number: int, kind: str) -> None:
        self.at_nylas.says(kind, number)

    @rule(
        number=which,
        times=st.sampled_from([1, 1, 2]),
        dies_at=st.sampled_from([None, None, None, None, 1, 2, 3, 5]),
        while_held=st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.05, 3.0]),
    )
    def a_webhook_comes(self, number: int, times: int, dies_at: int | None, while_held: float = 0.0) -> None:
        told = self.world.nylas.deliveries.told
        if not told:
            return
        event = told.pop(number % len(told))
        for attempt in range(1, times + 1):
            webhook = self.web.brings(event.raw(attempt), Sent(event.id), while_held=while_held)
            status = self._does("web", webhook, dies_at=dies_at)
            if status != 200 and attempt == times:
                told.append(event)

    @rule(number=which)
    def a_webhook_is_lost(self, number: int) -> None:
        told = self.world.nylas.deliveries.told
        if told:
            told.pop(number % len(told))

    @rule(kind=st.sampled_from(sorted(BODIES)), forged=st.booleans())
    def poison_comes(self, kind: str, forged: bool) -> None:
        self.number += 1
        body, one = outside.poison(kind, self.number)
        status = self._does("web", self.web.brings(body, one, forged=forged))
        if forged and status == 200:
            raise Broken("a webhook with a forged signature was taken")

    @rule(number=who)
    def a_user_leaves_for_nylas(self, number: int) -> None:
        if grant := self.at_nylas.grant(number):
            email = grant.email if number < 6 else f"new{self.number}@example.com"
            if visit := self._does("web", self.web.leaves(email)):
                self.visits.append(visit)

    @rule(number=which, times=st.sampled_from([1, 1, 2]), dies_at=st.sampled_from([None, None, 1, 2, 3]))
    def a_user_comes_back(self, number: int, times: int, dies_at: int | None) -> None:
        if self.visits:
            visit = self.visits[number % len(self.visits)]
            for _ in range(times):
                self._does("web", self.web.returns(visit), dies_at=dies_at)

    @rule(grants=st.lists(st.integers(0, 4), max_size=3, unique=True))
    def a_campaign_is_asked_for(self, grants: list[int]) -> None:
        if len(self.campaigns) == MOST_CAMPAIGNS:
            return
        chosen = [self.world.grants[number] for number in grants]
        if campaign_id := self._does("admin", outside.starts_campaign(chosen)):
            self.campaigns.append(campaign_id)

    @rule(number=which, how=st.sampled_from(sorted(outside.STEERING)))
    def a_campaign_is_steered(self, number: int, how: str) -> None:
        if self.campaigns:
            self._does("admin", outside.steers(self.campaigns[number % len(self.campaigns)], how))

    @rule()
    def a_moment_passes(self) -> None:
        """The simplest step. Hypothesis begins with a run of nothing else, which is broken off here."""
        assume(self.runs > 1)
        self.world.run(asyncio.sleep(0.1))

    @rule()
    def a_sync_is_asked_for(self) -> None:
        if self.syncs == MOST_SYNCS:
            return
        self.syncs += 1
        self._does("admin", outside.asks_to_sync(self._key("sync")))

    @rule(number=who)
    def the_product_reports_a_grant(self, number: int) -> None:
        if grant := self.at_nylas.grant(number):
            self._does("web", outside.reports(grant.id, self._key("report")))

    @rule()
    def the_schedules_fire(self) -> None:
        self._does(self.staff.free(), outside.beats)

    @rule()
    def housekeeping_fires(self) -> None:
        self._does(self.staff.free(), outside.keeps_house)

    @rule(number=which, worker=st.integers(0, 1), messages=st.integers(1, 3))
    def a_worker_works(self, number: int, worker: int, messages: int) -> None:
        for _ in range(max(1, min(messages, len(self.world.rings)))):
            self._does(self.staff.free(worker), self._next_message(number))

    @rule(number=which, worker=st.integers(0, 1), point=points)
    def a_worker_dies_at_work(self, number: int, worker: int, point: int) -> None:
        self._does(self.staff.free(worker), self._next_message(number), dies_at=point)

    @rule(number=which, point=points)
    def a_worker_is_stopped_at_work(self, number: int, point: int) -> None:
        if len(self.staff.stopped) < 2:
            self._does(self.staff.free(), self._next_message(number), stops_at=point)

    @rule(number=which)
    def a_stopped_worker_goes_on(self, number: int) -> None:
        if names := list(self.staff.stopped):
            self.staff.goes_on(names[number % len(names)])
            self._holds(judging.at_once(self.world))

    @rule(first=which, second=which)
    def two_workers_work_at_once(self, first: int, second: int) -> None:
        self.staff.by_turns(self._next_message(first), self._next_message(second))
        self._holds(judging.at_once(self.world))

    @rule(worker=st.integers(0, 1))
    def a_worker_sweeps(self, worker: int) -> None:
        self._does(self.staff.free(worker), sweeps)

    @rule(number=which)
    def a_message_is_lost(self, number: int) -> None:
        if rings := self.world.rings:
            rings.pop(number % len(rings))

    @rule(number=which)
    def a_message_is_doubled(self, number: int) -> None:
        if rings := self.world.rings:
            rings.append(rings[number % len(rings)])

    @rule(step=seconds)
    def time_passes(self, step: int) -> None:
        self.world.run(asyncio.sleep(step))
        if self.world.spool.count():
            self._does("web", self.web.looks_into_the_spool)

    @rule(kind=st.sampled_from(KINDS), place=st.sampled_from(sorted(PLACES)), times=st.integers(1, 6))
    def nylas_fails(self, kind: str, place: str, times: int) -> None:
        self.world.line.faults.append(Fault(kind, place, times))

    @rule()
    def nylas_works_again(self) -> None:
        self.world.line.faults.clear()

    @rule(kind=st.sampled_from(["locked", "full", "lost"]), first=st.integers(0, 5))
    def the_database_fails(self, kind: str, first: int) -> None:
        self.world.server.fault = kind, first

    @rule(trouble=st.sampled_from([None, *TROUBLES]))
    def the_product_is_in_trouble(self, trouble: str | None) -> None:
        self.world.product.trouble = trouble

    def teardown(self) -> None:
        """Let all come to its end, and judge it; not after a step that was broken already."""
        if judging.at_once(self.world) or not (self.anything or self.world.nylas.deliveries.told):
            return
        ends_well(self.world, self.staff, self.web, self.campaigns)
        self._holds(judging.in_the_end(self.world))
