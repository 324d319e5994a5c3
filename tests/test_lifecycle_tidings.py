"""What a look leads to: nothing is told before it is sure, each thing is told once, and nothing that is over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import GrantStatus, Observation, Spell
from lifecycle.backfill import BACKFILL, Gap
from lifecycle.spells import go_on
from lifecycle.tidings import Step, Tiding, tiding

VALID, SUSPECT, EXPIRED, DELETED = GrantStatus
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
SEEN = Spell(NOON, NOON, NOON + timedelta(minutes=2))
CONFIRMED = replace(SEEN, confirmed_at=LATER)


def step(
    before: Spell | None, after: Spell | None, status: GrantStatus, was: GrantStatus | None, *, importing: bool = False
) -> Step | None:
    told = tiding(before, after, status=status, was=was, recovered_at=LATER, importing=importing)
    return told.step if told else None


@pytest.mark.parametrize(
    ("before", "after", "status", "was", "told"),
    [
        (None, None, VALID, None, Step.INTRODUCE),
        (None, None, VALID, VALID, None),
        (None, None, VALID, SUSPECT, None),
        (None, SEEN, EXPIRED, None, Step.PLAN),
        (None, SEEN, EXPIRED, VALID, Step.PLAN),
        (None, SEEN, EXPIRED, SUSPECT, Step.PLAN),
        (SEEN, SEEN, EXPIRED, EXPIRED, None),
        (SEEN, CONFIRMED, EXPIRED, EXPIRED, Step.CONFIRM),
        (SEEN, None, VALID, EXPIRED, Step.WITHDRAW),
        (CONFIRMED, CONFIRMED, EXPIRED, EXPIRED, None),
        (CONFIRMED, None, VALID, EXPIRED, Step.RECOVER),
        (None, None, DELETED, None, None),
        (None, None, DELETED, VALID, Step.END),
        (None, None, DELETED, SUSPECT, Step.END),
        (SEEN, None, DELETED, EXPIRED, Step.END),
        (CONFIRMED, None, DELETED, EXPIRED, Step.END),
        (None, None, DELETED, DELETED, None),
    ],
)
def test_each_look_leads_to_its_step(
    before: Spell | None, after: Spell | None, status: GrantStatus, was: GrantStatus | None, told: Step | None
) -> None:
    assert step(before, after, status, was) is told


@pytest.mark.parametrize(
    ("before", "after", "status", "was", "told"),
    [
        (None, None, VALID, None, None),
        (None, CONFIRMED, EXPIRED, None, Step.KEEP_QUIET),
        (None, SEEN, EXPIRED, VALID, Step.PLAN),
        (SEEN, CONFIRMED, EXPIRED, EXPIRED, Step.CONFIRM),
        (CONFIRMED, None, VALID, EXPIRED, Step.RECOVER),
        (None, None, DELETED, VALID, Step.END),
    ],
)
def test_a_first_import_keeps_quiet_about_what_it_finds_but_not_about_what_has_changed(
    before: Spell | None, after: Spell | None, status: GrantStatus, was: GrantStatus | None, told: Step | None
) -> None:
    assert step(before, after, status, was, importing=True) is told


@pytest.mark.parametrize(("late", "lost"), [(timedelta(), False), (timedelta(seconds=1), True)])
def test_a_recovery_after_the_deadline_says_what_is_to_be_fetched(late: timedelta, lost: bool) -> None:
    recovered_at = NOON + BACKFILL + late
    told = tiding(CONFIRMED, None, status=VALID, was=EXPIRED, recovered_at=recovered_at)
    assert told == Tiding(Step.RECOVER, Gap(NOON, recovered_at) if lost else None)


def test_a_grant_that_worked_before_it_was_confirmed_has_no_gap() -> None:
    told = tiding(SEEN, None, status=VALID, was=EXPIRED, recovered_at=NOON + 2 * BACKFILL)
    assert told == Tiding(Step.WITHDRAW)


@given(looks=st.lists(st.tuples(st.integers(1, 200), st.sampled_from([VALID, EXPIRED, DELETED])), max_size=25))
def test_whatever_is_seen_the_steps_come_in_an_order_that_makes_sense(looks: list[tuple[int, GrantStatus]]) -> None:
    """A plan is confirmed or taken back, a recovery follows a confirmation, and the end is the end."""
    may_follow = {
        None: {Step.INTRODUCE, Step.PLAN},
        Step.INTRODUCE: {Step.PLAN, Step.END},
        Step.PLAN: {Step.CONFIRM, Step.WITHDRAW, Step.END},
        Step.CONFIRM: {Step.RECOVER, Step.END},
        Step.WITHDRAW: {Step.PLAN, Step.END},
        Step.RECOVER: {Step.PLAN, Step.END},
        Step.END: set[Step](),
    }
    spell, was, last, at = None, None, None, NOON
    for seconds, status in looks:
        if was is DELETED or (was is None and status is DELETED):
            continue
        at += timedelta(seconds=seconds)
        before, spell = spell, go_on(spell, Observation(status, at), grace=timedelta(minutes=2))
        told = tiding(before, spell, status=status, was=was, recovered_at=at)
        was = status
        if told:
            assert told.step in may_follow[last]
            last = told.step
