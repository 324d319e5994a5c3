"""The kill matrix: work that is killed at a point comes to the right end, and a mistake in it is found."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from storm.kills.case import Result, run_case
from storm.kills.ground import Databases, PostgresDatabases, SqliteFiles
from storm.kills.kinds import KINDS, Kind
from storm.kills.matrix import chosen, kinds_for
from storm.kills.points import Point, Watch, in_words, read_points, written
from tests.kill_mistakes import deletes_before_it_says_so, exchanges_before_it_says_so, settles_before_sending

POINTS = {
    "grant.expired": "after COMMIT of delivery",
    "oauth.callback": "after POST /v3/connect/token",
    "campaign": "after POST /v3/connect/custom",
    "sync": "after INSERT INTO transition",
    "retirement": "after DELETE /v3/grants/{id}",
}
BY_NAME = {kind.name: kind for kind in KINDS}


@pytest.fixture
async def files(tmp_path: Path) -> SqliteFiles:
    """Databases in files."""
    files = SqliteFiles(tmp_path)
    await files.prepare()
    return files


@pytest.fixture(params=["sqlite", "postgresql"])
async def databases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Databases]:
    """Databases of either make."""
    those: Databases
    if request.param == "sqlite":
        those = SqliteFiles(tmp_path)
    else:
        those = PostgresDatabases(request.getfixturevalue("postgres"))
    await those.prepare()
    yield those


async def killed(kind: Kind, on: Databases, point: str, change: Callable[[], None] | None = None) -> Result:
    """Run a kind undisturbed, and then killed at a point."""
    undisturbed = await run_case(kind, on)
    assert undisturbed.broken == []
    return await run_case(kind, on, fatal=Point(point), undisturbed=undisturbed.said, change=change)


@pytest.mark.parametrize(("kind", "point"), POINTS.items())
async def test_work_that_is_killed_comes_to_the_same_end(databases: Databases, kind: str, point: str) -> None:
    result = await killed(BY_NAME[kind], databases, point)

    assert result.broken == []
    assert result.fired
    assert result.points[-1] == Point(point)


async def test_a_code_that_was_not_sent_before_the_kill_is_never_sent_and_its_user_is_asked_again(
    files: SqliteFiles,
) -> None:
    result = await killed(BY_NAME["oauth.callback"], files, "before POST /v3/connect/token")

    assert (result.fired, result.broken) == (True, [])
    assert result.given_up >= 1
    assert sum(count for what, count in result.said.items() if what[::2] == ("sign-in", "failed")) == result.given_up


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
    result = await killed(BY_NAME[kind], files, point, mistake)

    assert result.fired
    assert any(found in what for what in result.broken), result.broken


async def test_a_point_that_is_not_passed_does_not_count_as_survived(files: SqliteFiles) -> None:
    result = await run_case(BY_NAME["retirement"], files, fatal=Point("before POST /v3/nothing"))

    assert not result.fired


async def test_every_kind_passes_forty_points_by_different_names(files: SqliteFiles) -> None:
    names = {kind.name: len(chosen((await run_case(kind, files)).points, every=False)) for kind in KINDS}

    assert {name: number for name, number in names.items() if number < 40} == {}


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
