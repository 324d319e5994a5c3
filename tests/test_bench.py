"""The bench's frame: everybody has a turn in each round, and who fails is told of."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.course import Contestant, Course, Figures
from bench.page import page
from bench.report import keep, outcome_of, record
from bench.runner import Outcome, run

ABOUT = {"at": "today", "commit": "c0ffee", "rounds": 3, "machine": {"cores": 2}, "versions": {"evergrant": {"x": "1"}}}


class Log:
    """Contestants that write down when it is their turn."""

    def __init__(self) -> None:
        self.turns: list[str] = []

    def contestant(self, name: str, *speeds: float) -> Contestant:
        """One that is so fast in each round; at zero it fails."""
        left = list(speeds)

        def go() -> Figures:
            self.turns.append(name)
            speed = left.pop(0)
            if not speed:
                raise ValueError("it was its fault")
            return {"per_second": speed, "calls": 5}

        return Contestant(name, go)


def course(*contestants: Contestant) -> Course:
    @contextmanager
    def stage() -> Iterator[Sequence[Contestant]]:
        yield contestants

    return Course("A course", "Some work.", stage)


def ran(log: Log) -> Outcome:
    contestants = log.contestant("us", 10, 30, 20), log.contestant("they", 5, 0, 15)
    return run("some", course(*contestants), 3, lambda _: None)


def test_contestants_take_turns_and_another_one_is_first_in_each_round() -> None:
    log = Log()
    ran(log)
    assert log.turns == ["us", "they", "they", "us", "us", "they"]


def test_a_contestant_that_fails_in_a_round_is_measured_by_the_others_and_told_of() -> None:
    us, they = ran(Log()).results
    assert (us.median("per_second"), us.failures) == (20, [])
    assert (they.median("per_second"), they.ratio("per_second", us)) == (10, 0.5)
    assert they.failures == ["round 2: ValueError: it was its fault"]


def test_a_course_whose_stage_can_not_be_set_is_told_of() -> None:
    @contextmanager
    def stage() -> Iterator[Sequence[Contestant]]:
        raise OSError("no server")
        yield ()

    assert run("some", Course("A course", "Some work.", stage), 1, lambda _: None).failed == "OSError: no server"


def test_the_page_has_medians_ranges_ratios_and_failures(tmp_path: Path) -> None:
    kept = keep([record(ran(Log()), **ABOUT)], tmp_path / "results" / "today.json")
    text = page(list(kept.values()))
    assert "| us | 20 (10 to 30) | 5 |" in text
    assert "| they | 10 (5 to 15), 0.5 x | 5 |" in text
    assert "- **they** failed in round 2: ValueError: it was its fault" in text


def test_a_later_run_of_a_day_replaces_only_its_own_courses(tmp_path: Path) -> None:
    file = tmp_path / "today.json"
    keep([record(ran(Log()), **ABOUT)], file)
    other = Outcome("other", "Another course", "", [], failed="not here")
    kept = keep([record(other, **ABOUT)], file)
    assert list(kept) == ["some", "other"]
    assert outcome_of(kept["some"]).results[0].median("per_second") == 20
    assert keep([record(Outcome("some", "Anew", "", []), **ABOUT)], file)["some"]["name"] == "Anew"


def test_a_later_day_has_a_file_of_its_own_and_the_newest_of_each_course_is_shown(tmp_path: Path) -> None:
    keep([record(ran(Log()), **ABOUT), record(Outcome("other", "Another", "", []), **ABOUT)], tmp_path / "01.json")
    newest = keep([record(Outcome("some", "Anew", "", []), **ABOUT)], tmp_path / "02.json")
    assert {name: one["name"] for name, one in newest.items()} == {"some": "Anew", "other": "Another"}
    assert list(json.loads((tmp_path / "02.json").read_text())) == ["some"]
