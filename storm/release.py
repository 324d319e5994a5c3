"""An earlier release, taken from the project's own history, and how its parts are started."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
MIGRATIONS = "models/migrations/versions"
ASKED = """
import json
from alembic.config import Config
from alembic.script import ScriptDirectory
from worker.settings import PREFIX, Settings
config = Config()
config.set_main_option("script_location", "models/migrations")
settings = [PREFIX + name.upper() for name in Settings.model_fields]
print(json.dumps({"revision": ScriptDirectory.from_config(config).get_current_head(), "settings": settings}))
"""


class NoRelease(Exception):
    """There is no earlier release to be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """The code of a commit, in a folder of its own, which runs with the libraries that are installed."""

    commit: str
    home: Path
    revision: str
    """The revision of the database that it is made for."""
    settings: frozenset[str]

    def command(self, module: str) -> list[str]:
        """How a module of it is run: `-P` keeps the modules of the folder that we are in away."""
        return [sys.executable, "-P", "-m", module]

    def environ(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of its processes: without what it does not know yet, and would refuse."""
        known = {name: value for name, value in given.items() if name in self.settings or "EVERGRANT_" not in name}
        return known | {"PYTHONPATH": str(self.home)}


def before_the_last_migration() -> str:
    """Name the commit before the one that brought the newest migration. Raises NoRelease."""
    newest = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", MIGRATIONS)
    if not newest:
        raise NoRelease(f"no commit brought a migration in {MIGRATIONS}")
    return f"{newest}^"


def release_of(name: str, folder: Path) -> Release:
    """Take a commit's files from history into a folder. Raises NoRelease."""
    try:
        commit = _git("rev-parse", "--verify", "--quiet", "--short", f"{name}^{{commit}}")
    except NoRelease as error:
        if _git("rev-parse", "--is-shallow-repository") == "true":
            raise NoRelease(
                "this is a shallow clone, which has no commit before its last migration: git fetch --unshallow"
            ) from error
        raise NoRelease(f"there is no commit {name}") from error
    packed, home = folder / "release.tar", folder / "release"
    _git("archive", "--format=tar", f"--output={packed}", commit)
    with tarfile.open(packed) as archive:
        archive.extractall(home, filter="data")
    packed.unlink()
    asked = subprocess.run(
        [sys.executable, "-P", "-c", ASKED],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise NoRelease(f"{commit} does not run with the libraries that are installed:\n{asked.stderr[-500:]}")
    told = json.loads(asked.stdout)
    return Release(commit, home, told["revision"], frozenset(told["settings"]))


def commit_here() -> str:
    """Name the commit that is checked out here."""
    try:
        return _git("rev-parse", "--short", "HEAD")
    except NoRelease:
        return "unknown"


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise NoRelease("git is not installed, and the release before this one lies in the history")
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoRelease(f"git {arguments[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout.strip()
