"""The tour of Nylas' Node SDK: its installation beside the source tree, and the run of its script."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.conformance.tour import Outcome, Tour

HERE = Path(__file__).parent
LOCK = HERE / "package-lock.json"  # made by `npm install --omit-lockfile-registry-resolved`, without its `funding`
PATIENCE = 80  # seconds


class NoNode(Exception):
    """The SDK can't be had here; the message says what is missing."""


def installed() -> Path:
    """Return the SDK's folder, made once for each lock file, in `.venv`. Raises NoNode where that can't be done."""
    had = _had()
    if isinstance(had, NoNode):
        raise had
    return had


@cache
def _had() -> Path | NoNode:
    """Try once, whatever comes of it: npm takes its time where there is no registry."""
    try:
        return made()
    except NoNode as reason:
        return reason


def made() -> Path:
    """Make the folder if it isn't there. Raises NoNode where that can't be done."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoNode("Nylas' Node SDK is not tried: there is no node or no npm on PATH")
    kept = Path(sys.prefix) / f"node-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not kept.is_dir():
        with tempfile.TemporaryDirectory(dir=sys.prefix, prefix="node-making-") as workshop:
            whole = Path(workshop) / "whole"
            whole.mkdir()
            for name in ("package.json", LOCK.name):
                shutil.copy(HERE / name, whole)
            _install(npm, whole)
            try:
                whole.rename(kept)  # whole or not at all; of two who do it at once, the first one's stays
            except OSError:
                if not kept.is_dir():
                    raise
    return kept / "node_modules/nylas"


def _install(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise NoNode(f"Nylas' Node SDK is not tried: npm took over {PATIENCE} s to install it") from error
    except subprocess.CalledProcessError as error:
        said = next((line for line in error.stderr.splitlines() if "code" in line), "it did not say why")
        raise NoNode(f"Nylas' Node SDK is not tried: npm could not install it: {said}") from error


async def run(url: str) -> Tour:
    """Run the script against a simulator, and read what it prints."""
    command = ("node", str(HERE / "sdk.mjs"), str(installed()), url)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    *lines, last = [json.loads(line) for line in printed.splitlines()]
    done = Tour("Node SDK", set(last["methods"]), called=set(last["called"]))
    done.outcomes = [Outcome(line["step"], line["problem"]) for line in lines]
    return done
