"""The rules as a machine: hints, looks that pass each other, faults, crashes and time, in any order whatever."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lifecycle import GrantStatus, Observation, Standing, decide, doubt
from lifecycle.backfill import BACKFILL
from lifecycle.course import Course, move_on
from lifecycle.spells import GRACE
from lifecycle.tidings import Step, Tiding

VALID, SUSPECT, EXPIRED, DELETED = GrantStatus
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
MAY_FOLLOW = {
    None: {Step.INTRODUCE, Step.PLAN},
    Step.INTRODUCE: {Step.PLAN, Step.END},
    Step.PLAN: {Step.CONFIRM, Step.WITHDRAW, Step.END},
    Step.WITHDRAW: {Step.PLAN, Step.END},
    Step.CONFIRM: {Step.RECOVER, Step.END},
    Step.RECOVER: {Step.PLAN, Step.END},
    Step.END: set[Step](),
}


@dataclass(frozen=True)
class Truth:
    """How the grant stood at Nylas, since when, and when it was authenticated last."""

    status: GrantStatus
    since: datetime
    authenticated_at: datetime


@dataclass(frozen=True)
class Asked:
    """A look on its way: when it was asked for, and what Nylas answered (None: nothing yet)."""

    at: datetime
    answer: Truth | None = None


which = st.integers(0, 5)


class OneGrant(RuleBasedStateMachine):
    """One grant at Nylas, and what workers, who know nothing of each other, make of it by the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.truths = [Truth(VALID, self.now, self.now)]
        self.standing: Standing | None = None
        self.course = Course()
        self.hints: list[datetime] = []
        self.looks: list[Asked] = []
        self.told: list[Tiding] = []
        self.in_spell: list[GrantStatus] = []

    @property
    def truth(self) -> Truth:
        return self.truths[-1]

    @rule(status=st.sampled_from([EXPIRED, VALID, EXPIRED, VALID, DELETED]), hinted=st.booleans())
    def it_changes_at_nylas(self, status: GrantStatus, hinted: bool) -> None:
        if self.truth.status not in (DELETED, status):
            signed_in = self.now if status is VALID else self.truth.authenticated_at
            self.truths.append(Truth(status, self.now, signed_in))
            self.hints += [self.now] * hinted

    @rule(seconds=st.sampled_from([1, 30, 119, 120, 600, 3_600, 86_400, 300_000]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def somebody_looks(self) -> None:
        self.written(Asked(self.now, self.truth))

    @rule(answered=st.booleans())
    def somebody_asks(self, answered: bool) -> None:
        self.looks.append(Asked(self.now, self.truth if answered else None))

    @precondition(lambda self: self.looks)
    @rule(which=which, dies=st.booleans())
    def an_answer_is_written_down_unless_the_worker_dies(self, which: int, dies: bool) -> None:
        look = self.looks.pop(which % len(self.looks))
        if not dies:
            self.written(Asked(look.at, look.answer or self.truth))

    @rule(seconds_old=st.integers(-1, 200))
    def a_hint_comes_while_nylas_cannot_be_asked(self, seconds_old: int) -> None:
        """Or once more, or late, or by a clock that is ahead."""
        hinted_at = self.hints[0] if self.hints else self.now - timedelta(seconds=seconds_old)
        before = self.standing
        if change := doubt(before, hinted_at):
            assert before is not None
            assert (before.status, change.new.status, change.new.as_of) == (VALID, SUSPECT, before.as_of)
            assert hinted_at > before.as_of
            self.standing = change.new

    def written(self, look: Asked) -> None:
        """Follow a look, as the tasks do in one transaction."""
        assert look.answer is not None
        seen, was = Observation(look.answer.status, look.at), self.standing and self.standing.status
        if was is DELETED or (self.standing and look.at < self.standing.as_of):
            assert decide(self.standing, seen) is None
            return
        change = decide(self.standing, seen)
        if self.standing is None and change is None:
            return
        self.standing = change.new if change else Standing(seen.status, seen.blocked, seen.at)
        signed_in = look.answer.authenticated_at
        before = self.course
        self.course, told = move_on(before, seen, was=was, grace=GRACE, authenticated_at=signed_in)
        self.in_spell = [*self.in_spell, seen.status] if before.spell else [seen.status]
        if told:
            self.is_told(told, before, seen)

    def is_told(self, told: Tiding, before: Course, seen: Observation) -> None:
        """Each step has what it needs, and follows one that it may follow."""
        last = self.told[-1].step if self.told else None
        assert told.step in MAY_FOLLOW[last]
        if told.step is Step.CONFIRM:
            assert before.spell is not None
            assert len(self.in_spell) >= 2
            assert set(self.in_spell) == {EXPIRED}
            assert seen.at - before.spell.seen_at >= GRACE
        if told.step is Step.RECOVER and told.gap:
            assert told.gap.until - told.gap.since > BACKFILL
        self.told.append(told)

    @invariant()
    def it_stands_as_nylas_said_and_is_told_of_so(self) -> None:
        status = self.standing and self.standing.status
        assert (self.course.spell is not None) == (status is EXPIRED)
        assert self.course.flaps <= max(0, sum(told.step is Step.PLAN for told in self.told) - 1)
        assert (bool(self.told) and self.told[-1].step is Step.END) == (status is DELETED)
        if self.standing and status is not SUSPECT:
            ends = [truth.since for truth in self.truths[1:]] + [self.now]
            assert status in {
                truth.status for truth, end in zip(self.truths, ends, strict=True) if end >= self.standing.as_of
            }

    def teardown(self) -> None:
        """Once nothing fails, all is done, and a last look was had, it stands as at Nylas, whatever came before."""
        for look in self.looks:
            self.written(Asked(look.at, look.answer or self.truth))
        self.now += timedelta(days=1)
        self.written(Asked(self.now, self.truth))
        self.now += timedelta(days=1)
        self.written(Asked(self.now, self.truth))
        never_known = self.standing is None and self.truth.status is DELETED
        assert never_known or (self.standing is not None and self.standing.status is self.truth.status)
        last = self.told[-1].step if self.told else None
        assert (self.truth.status is EXPIRED) == (last is Step.CONFIRM)


TestOneGrant = OneGrant.TestCase
TestOneGrant.settings = settings(max_examples=600, stateful_step_count=15, deadline=None)
