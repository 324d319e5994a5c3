"""The release before: which one it is, what it is told, and what is said where there is none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storm import release
from storm.faults import UPGRADE, kinds
from storm.release import MIGRATIONS, NoRelease, Release, before_the_last_migration, release_of


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as somebody."""
    somebody = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    program = shutil.which("git")
    if program is None:
        pytest.skip("git is not installed")
    done = subprocess.run([program, *somebody, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two migrations, each after another commit, and a commit at last that mends the newest one."""
    folder = tmp_path / "project"
    (folder / MIGRATIONS).mkdir(parents=True)
    git(folder, "init", "--quiet")
    for name in ("one", f"{MIGRATIONS}/0001.py", "two", f"{MIGRATIONS}/0002.py", f"{MIGRATIONS}/0002.py"):
        with (folder / name).open("a") as file:
            file.write("line\n")
        git(folder, "add", name)
        git(folder, "commit", "--quiet", "--message", name)
    monkeypatch.setattr(release, "ROOT", folder)
    return folder


@pytest.mark.long
def test_an_upgrade_while_work_arrives_loses_nothing_and_does_nothing_twice() -> None:
    options = ("--sqlite", "--untimed", "--events", "100", "--seconds", "20", "--seed", "1")
    done = subprocess.run(
        [sys.executable, "-m", "storm.upgrade", *options], cwd=release.ROOT, capture_output=True, text=True, check=False
    )
    if "can't be run here" in done.stdout:
        pytest.skip(done.stdout.splitlines()[-1])

    assert done.returncode == 0, done.stdout + done.stderr
    assert "were started again one by one" in " ".join(done.stdout.split())


def test_the_release_before_is_the_one_to_which_the_newest_migration_was_added(history: Path) -> None:
    assert git(history, "log", "-1", "--format=%s", before_the_last_migration()) == "two"


def test_a_shallow_clone_has_no_release_before_and_is_told_how_to_get_it(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", history.as_uri(), "shallow")
    monkeypatch.setattr(release, "ROOT", tmp_path / "shallow")
    with pytest.raises(NoRelease, match="git fetch --unshallow"):
        release_of(before_the_last_migration(), tmp_path)


def test_a_folder_without_history_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(NoRelease, match="not a git repository"):
        before_the_last_migration()


def test_a_machine_without_git_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoRelease, match="git is not installed"):
        before_the_last_migration()


def test_a_release_that_does_not_run_is_none(history: Path, tmp_path: Path) -> None:
    with pytest.raises(NoRelease, match="does not run with the libraries that are installed"):
        release_of(before_the_last_migration(), tmp_path)


def test_an_old_release_is_told_nothing_that_it_does_not_know() -> None:
    old = Release("abc", Path("/old"), "0001", frozenset({"EVERGRANT_REDIS_URL"}))
    given = {"EVERGRANT_REDIS_URL": "redis://here", "EVERGRANT_BULK_YIELDS": "5", "HOME": "/root"}
    assert old.environ(given) == {"EVERGRANT_REDIS_URL": "redis://here", "HOME": "/root", "PYTHONPATH": "/old"}


def test_an_upgrade_strikes_in_no_other_storm() -> None:
    drawn = {kind.name for on_postgres in (True, False) for kind in kinds(on_postgres=on_postgres)}
    assert UPGRADE not in drawn
