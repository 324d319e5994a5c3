"""The course "Start": how long one waits for the first word, and for a whole small installation."""

import compileall
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from bench.course import Contestant, Course, Figures
from bench.machine import ROOT
from ingress.children import Child, free_port

PATIENCE = 60.0
LOOK_EVERY = 0.02
PACKAGES = ("ingress", "worker", "tasks", "models", "lifecycle", "nylas_api", "simulator")


def course() -> Course:
    """Each command once a round."""
    return Course(
        "Start",
        "evergrant --help; and evergrant up in an empty directory, and again in the same, until web says that it is "
        "ready and the worker takes messages",
        _contestants,
        better=frozenset(),
    )


@contextmanager
def _contestants() -> Iterator[Sequence[Contestant]]:
    for package in PACKAGES:  # as pip leaves them: the first start of all would compile them, and no other
        compileall.compile_dir(ROOT / package, quiet=1)
    python = (sys.executable, "-c", "pass")
    yield [Contestant("Evergrant", _evergrant), Contestant("Limit: Python, doing nothing", partial(_said, *python))]


def _evergrant() -> Figures:
    with tempfile.TemporaryDirectory(prefix="evergrant-bench-start-") as name:
        folder = Path(name)
        said = _said(sys.executable, "-m", "ingress", "--help")
        return said | {"up_first_seconds": _up(folder), "up_again_seconds": _up(folder)}


def _said(*command: str) -> Figures:
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return {"help_seconds": time.monotonic() - began}


def _up(folder: Path) -> float:
    """Return how many seconds `evergrant up` takes until it is ready; it is ended then."""
    port, log = free_port(), folder / "up.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "ingress", "up", "--port", str(port)]
    began = time.monotonic()
    child = Child("up", command, log=log, environ=_environ(folder, port))
    try:
        while not _ready(port, log):
            if child.ended is not None or time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"evergrant up was not ready:\n{log.read_text()[-800:]}")
            time.sleep(LOOK_EVERY)
        return time.monotonic() - began
    finally:
        child.stop(seconds=30)


def _environ(folder: Path, port: int) -> Mapping[str, str]:
    told = {
        "EVERGRANT_DATA_DIR": str(folder / "data"),
        "EVERGRANT_NYLAS_API_KEY": "nyk_bench",
        "EVERGRANT_NYLAS_CLIENT_ID": "bench-application",
        "EVERGRANT_NYLAS_API_URI": f"http://127.0.0.1:{free_port()}",  # nobody is there, and nothing has to be asked
        "EVERGRANT_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    return {name: value for name, value in os.environ.items() if not name.startswith("EVERGRANT_")} | told


def _ready(port: int, log: Path) -> bool:
    if "worker.ready" not in log.read_text():
        return False
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
