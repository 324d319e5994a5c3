"""The kill matrix: work that is killed at a point comes to the right end, and a mistake in it is found."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from storm.kills.case import Result, run_case
from storm.kills.ground import Databases, PostgresDatabases, SqliteFiles
from storm.kills.kinds import KINDS
from storm.kills.matrix import Row, chosen, kinds_for
from storm.kills.points import Point, Watch, in_words, read_points, written
from tests.kill_mistakes import deletes_before_it_says_so, exchanges_before_it_says_so, settles_before_sending

BY_NAME = {kind.name: kind for kind in KINDS}
UNDISTURBED: dict[str, Result] = {}


@pytest.fixture
async def files(tmp_path: Path) -> SqliteFiles:
    """Databases in files."""
    files = SqliteFiles(tmp_path)
    await files.prepare()
    return files


async def undisturbed(kind: str, on: Databases) -> Result:
    """How a kind ends if nobody dies: the same on both databases."""
    if kind not in UNDISTURBED:
        UNDISTURBED[kind] = await run_case(BY_NAME[kind], on)
    return UNDISTURBED[kind]


async def killed(kind: str, on: Databases, point: str, change: Callable[[], None] | None = None) -> Result:
    """Run a kind, and kill it at a point."""
    whole = await undisturbed(kind, on)
    assert whole.broken == []
    assert len(chosen(whole.points, every=False)) >= 40
    return await run_case(BY_NAME[kind], on, fatal=Point(point), undisturbed=whole.said, change=change)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "point"), [("campaign", "after POST /v3/connect/custom"), ("retirement", "after DELETE /v3/grants/{id}")]
)
async def test_work_that_is_killed_comes_to_the_same_end_on_sqlite(files: SqliteFiles, kind: str, point: str) -> None:
    result = await killed(kind, files, point)

    assert (result.broken, result.points[-1]) == ([], Point(point))


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("grant.expired", "after sending grant.expired"),
        ("oauth.callback", "after POST /v3/connect/token"),
        ("sync", "after INSERT INTO transition"),
    ],
)
async def test_work_that_is_killed_comes_to_the_same_end_on_postgresql(postgres: str, kind: str, point: str) -> None:
    result = await killed(kind, PostgresDatabases(postgres), point)

    assert (result.broken, result.points[-1]) == ([], Point(point))


async def test_a_code_that_was_not_sent_before_the_kill_is_never_sent_and_its_user_is_asked_again(
    files: SqliteFiles,
) -> None:
    result = await killed("oauth.callback", files, "before POST /v3/connect/token")

    assert (result.fired, result.broken) == (True, [])
    failed = sum(count for (what, _, end), count in result.said.items() if (what, end) == ("sign-in", "failed"))
    assert failed == result.given_up >= 1


@pytest.mark.parametrize(
    ("kind", "point", "mistake", "found"),
    [
        ("retirement", "before sending grant.deleted", settles_before_sending, "the product never heard it"),
        ("oauth.callback", "after POST /v3/connect/token", exchanges_before_it_says_so, "was sent 2 times"),
        ("retirement", "after DELETE /v3/grants/{id}", deletes_before_it_says_so, "item of a plan"),
    ],
)
async def test_a_mistake_is_found(
    files: SqliteFiles, kind: str, point: str, mistake: Callable[[], None], found: str
) -> None:
    result = await killed(kind, files, point, mistake)

    assert result.fired
    assert any(found in what for what in result.broken), result.broken


@pytest.mark.parametrize(
    ("fired", "broken", "holds"), [(True, [], True), (False, [], False), (True, ["a grant is lost"], False)]
)
def test_a_case_counts_only_if_its_point_was_passed_and_all_is_well(
    fired: bool, broken: list[str], holds: bool
) -> None:
    row = Row("SQLite", Result("sync", None, True, []), [Result("sync", Point("somewhere"), fired, broken)], wanted=1)

    assert row.holds is holds
    assert not replace(row, wanted=2).holds


def test_points_are_counted_as_they_are_passed(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "passed", fatal=Point("never"))
    for name in ("a", "b", "a"):
        watch.passes(name)

    assert read_points(tmp_path / "passed") == [Point("a"), Point("b"), Point("a", 2)]
    assert chosen(read_points(tmp_path / "passed"), every=False) == [Point("a"), Point("b")]


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ('INSERT INTO "grant" (id) VALUES (?)', ("INSERT INTO", "grant")),
        ("DELETE FROM reauth_link WHERE id = ?", ("DELETE FROM", "reauth_link")),
        ("UPDATE event SET settled_at=? WHERE id = ?", ("UPDATE", "event")),
        ("UPDATE event SET attempts=(event.attempts + ?), lease_until=? WHERE id = ?", ("claim of", "event")),
        ("UPDATE event SET rung_at=? WHERE id = ?", ("ring mark on", "event")),
        ("SELECT 1 FROM event FOR UPDATE", None),
    ],
)
def test_a_statement_is_named_by_what_it_does(statement: str, what: tuple[str, str] | None) -> None:
    assert written(statement) == what


def test_a_transaction_is_named_by_what_was_written_in_it() -> None:
    statements = [("UPDATE", "grant"), ("INSERT INTO", "event"), ("claim of", "event"), ("UPDATE", "grant")]

    assert in_words(statements) == "claim of event, event, grant"
    assert in_words([]) == ""


def test_what_is_wanted_chooses_the_kinds() -> None:
    assert [kind.name for kind in kinds_for(["sync: after"])] == ["sync"]
    assert kinds_for(["/v3/"]) == list(KINDS)
    assert Counter(kind.name for kind in KINDS).most_common(1)[0][1] == 1
