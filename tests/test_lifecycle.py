"""The rules of a grant's life, as tables of cases and as laws that hold for every order of events."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import Change, GrantStatus, Observation, Standing, decide, delay_before, doubt
from lifecycle.backoff import LONGEST

VALID, SUSPECT, EXPIRED, DELETED = GrantStatus
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EARLIER, LATER = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)


def held(status: GrantStatus, *, blocked: bool = False, as_of: datetime = NOON) -> Standing:
    """What we hold of a grant since noon."""
    return Standing(status, blocked, as_of)


def saw(status: GrantStatus, *, blocked: bool = False, at: datetime = LATER) -> Observation:
    """What we saw of a grant after noon."""
    return Observation(status, at, blocked)


@pytest.mark.parametrize(
    ("now", "seen", "status", "blocked"),
    [
        (None, saw(VALID), VALID, False),
        (None, saw(EXPIRED), EXPIRED, False),
        (None, saw(VALID, blocked=True), VALID, True),
        (held(VALID), saw(EXPIRED), EXPIRED, False),
        (held(VALID), saw(DELETED), DELETED, False),
        (held(VALID), saw(VALID, blocked=True), VALID, True),
        (held(VALID, blocked=True), saw(VALID), VALID, False),
        (held(VALID, blocked=True), saw(DELETED, blocked=True), DELETED, False),
        (held(SUSPECT), saw(VALID), VALID, False),
        (held(SUSPECT), saw(EXPIRED), EXPIRED, False),
        (held(SUSPECT), saw(DELETED), DELETED, False),
        (held(EXPIRED), saw(VALID), VALID, False),
        (held(EXPIRED), saw(EXPIRED, blocked=True), EXPIRED, True),
        (held(EXPIRED), saw(DELETED), DELETED, False),
        (held(VALID), saw(EXPIRED, at=NOON), EXPIRED, False),
    ],
)
def test_a_look_moves_a_grant(now: Standing | None, seen: Observation, status: GrantStatus, blocked: bool) -> None:
    assert decide(now, seen) == Change(now, Standing(status, blocked, seen.at))


@pytest.mark.parametrize(
    ("now", "seen"),
    [
        (None, saw(DELETED)),
        (held(VALID), saw(VALID)),
        (held(EXPIRED), saw(EXPIRED)),
        (held(VALID, blocked=True), saw(VALID, blocked=True)),
        (held(DELETED), saw(DELETED)),
        (held(DELETED), saw(VALID)),
        (held(DELETED), saw(EXPIRED, blocked=True)),
        (held(VALID), saw(EXPIRED, at=EARLIER)),
        (held(EXPIRED), saw(VALID, at=EARLIER)),
        (held(SUSPECT), saw(VALID, at=EARLIER)),
        (held(VALID), saw(DELETED, at=EARLIER)),
    ],
)
def test_a_look_that_is_older_or_tells_nothing_new_leaves_a_grant_as_it_is(
    now: Standing | None, seen: Observation
) -> None:
    assert decide(now, seen) is None


@pytest.mark.parametrize("blocked", [False, True])
def test_a_hint_younger_than_our_look_makes_a_valid_grant_suspect(blocked: bool) -> None:
    """`as_of` stays: a hint is not a look."""
    now = held(VALID, blocked=blocked)
    assert doubt(now, LATER) == Change(now, Standing(SUSPECT, blocked, NOON))


@pytest.mark.parametrize(
    ("now", "hinted_at"),
    [
        (None, LATER),
        (held(VALID), NOON),
        (held(VALID), EARLIER),
        (held(SUSPECT), LATER),
        (held(EXPIRED), LATER),
        (held(DELETED), LATER),
    ],
)
def test_other_hints_raise_no_doubt(now: Standing | None, hinted_at: datetime) -> None:
    assert doubt(now, hinted_at) is None


@pytest.mark.parametrize(
    ("is_valid", "blocked", "seen"),
    [
        (True, False, saw(VALID)),
        (True, True, saw(VALID, blocked=True)),
        (False, False, saw(EXPIRED)),
        (False, True, saw(EXPIRED, blocked=True)),
        (None, False, None),
        (None, True, None),
    ],
)
def test_the_words_of_nylas_become_ours(is_valid: bool | None, blocked: bool, seen: Observation | None) -> None:
    assert Observation.of(is_valid=is_valid, blocked=blocked, at=LATER) == seen


def test_a_grant_that_nylas_has_no_record_of_is_deleted() -> None:
    assert Observation.gone(at=LATER) == saw(DELETED)


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [(2, 0.0, 1.0), (2, 0.5, 1.5), (3, 0.0, 2.0), (4, 0.0, 4.0), (1, 0.0, 0.5), (11, 0.0, 300.0), (10**9, 0.5, 450.0)],
)
def test_the_wait_doubles_up_to_a_limit_and_half_of_it_is_chance(attempt: int, chance: float, seconds: float) -> None:
    assert delay_before(attempt, chance=chance).total_seconds() == seconds


@given(attempt=st.integers(), chance=st.floats(0, 1, exclude_max=True), first=st.floats(0.001, 3600))
def test_a_wait_is_never_nothing_and_never_beyond_the_limit(attempt: int, chance: float, first: float) -> None:
    assert timedelta(0) < delay_before(attempt, chance=chance, first=timedelta(seconds=first)) <= LONGEST


@given(attempt=st.integers(1, 30), chance=st.floats(0, 1, exclude_max=True))
def test_with_the_same_luck_a_later_attempt_waits_no_less(attempt: int, chance: float) -> None:
    assert delay_before(attempt, chance=chance) <= delay_before(attempt + 1, chance=chance)


def look(now: Standing | None, seen: Observation) -> Standing | None:
    """Follow a look as `tasks.recording` does: what it saw rests on that look, also where nothing changed."""
    if change := decide(now, seen):
        return change.new
    if now is None or now.status is DELETED or seen.at < now.as_of:
        return now
    return Standing(now.status, now.blocked, seen.at)


@dataclass(frozen=True)
class Hint:
    """A webhook about the grant: its kind, how late it tells, and how often Nylas can't be asked about it."""

    kind: str
    seconds_old: int
    failures: int


TRUTHS = {
    "valid": (True, False),
    "invalid": (False, False),
    "blocked": (True, True),
    "gone": None,
}
hints = st.builds(
    Hint, st.sampled_from(["created", "updated", "expired", "deleted"]), st.integers(-3, 20), st.integers(0, 3)
)
starts = st.none() | st.builds(held, st.sampled_from(GrantStatus), blocked=st.booleans())


def observe(truth: str, at: datetime) -> Observation:
    """What a look at Nylas shows while this is the truth there."""
    match TRUTHS[truth]:
        case None:
            return Observation.gone(at=at)
        case is_valid, blocked:
            seen = Observation.of(is_valid=is_valid, blocked=blocked, at=at)
            assert seen is not None
            return seen


def live_through(now: Standing | None, told: list[Hint], truth: str) -> Standing | None:
    """Deal with each hint until Nylas could be asked about it; one that could not waits behind the others."""
    line, time = deque(told), NOON
    while line:
        time += timedelta(seconds=1)
        hint = line.popleft()
        if not hint.failures:
            now = look(now, observe(truth, time))
            continue
        line.append(Hint(hint.kind, hint.seconds_old, hint.failures - 1))
        change = doubt(now, time - timedelta(seconds=hint.seconds_old)) if hint.kind == "expired" else None
        now = change.new if change else now
    return now


@given(start=starts, told=st.lists(hints, min_size=1, max_size=12), truth=st.sampled_from(sorted(TRUTHS)))
def test_hints_in_any_order_and_number_end_in_the_truth_at_nylas(
    start: Standing | None, told: list[Hint], truth: str
) -> None:
    end = live_through(start, told, truth)

    if start and start.status is DELETED:
        assert end == start
    elif TRUTHS[truth] is None:
        assert end is None if start is None else end is not None and (end.status, end.blocked) == (DELETED, False)
    else:
        status = EXPIRED if truth == "invalid" else VALID
        assert end is not None
        assert (end.status, end.blocked) == (status, truth == "blocked")


@given(data=st.data(), told=st.lists(hints, min_size=1, max_size=6), truth=st.sampled_from(sorted(TRUTHS)))
def test_shuffled_and_doubled_hints_end_where_the_plain_ones_end(
    data: st.DataObject, told: list[Hint], truth: str
) -> None:
    start = data.draw(starts)
    shuffled = data.draw(st.permutations(told + told))

    plain, other = live_through(start, told, truth), live_through(start, shuffled, truth)
    assert (plain and (plain.status, plain.blocked)) == (other and (other.status, other.blocked))


@given(data=st.data(), start=st.sampled_from([None, held(VALID), held(SUSPECT), held(EXPIRED)]))
def test_looks_that_arrive_in_any_order_end_in_what_the_newest_one_saw(
    data: st.DataObject, start: Standing | None
) -> None:
    """A deletion is not among them: it is terminal, so the oldest look that saw it is the last word as well."""
    seen = data.draw(
        st.lists(
            st.builds(
                lambda second, status, blocked: saw(status, blocked=blocked, at=NOON + timedelta(seconds=second)),
                st.integers(1, 1000),
                st.sampled_from([VALID, EXPIRED]),
                st.booleans(),
            ),
            min_size=1,
            max_size=10,
            unique_by=lambda look: look.at,
        )
    )
    newest = max(seen, key=lambda look: look.at)
    now = start
    for each in data.draw(st.permutations(seen)):
        now = look(now, each)
    assert now == Standing(newest.status, newest.blocked, newest.at)


@given(data=st.data(), start=st.sampled_from([held(VALID), held(SUSPECT), held(EXPIRED)]))
def test_once_a_look_has_seen_the_deletion_no_other_look_undoes_it(data: st.DataObject, start: Standing) -> None:
    """Looks that came before the deletion say valid or expired; those after it all say gone."""
    before = data.draw(st.lists(st.sampled_from([VALID, EXPIRED]), max_size=5))
    after = data.draw(st.integers(1, 4))
    statuses = [*before, *[DELETED] * after]
    seen = [saw(status, at=NOON + timedelta(seconds=second)) for second, status in enumerate(statuses, 1)]
    now: Standing | None = start
    for each in data.draw(st.permutations(seen)):
        now = look(now, each)
    assert now is not None
    assert now.status is DELETED
