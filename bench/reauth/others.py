"""The peers in this course: which module each is, in which environment it runs, and by which command."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.machine import environments
from bench.reauth.evergrant import API_KEY
from bench.reauth.going import Parts, Stage
from bench.servers import CREDENTIAL

PACKAGE = "bench.reauth.peers"
READY = "peer is ready"
DONE = "SELECT count(*) FROM peer_grant WHERE status = 'valid'"
PROCESSES = (8, 16, 32)  # of Celery's prefork pool, in each of which one task runs
IN_FLIGHT = (50, 100, 200, 400)
THREADS = (50, 100, 200)


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer; `worker` makes its command of the module's name and the concurrency, without the `python -m` before it.

    `environment` is the name of the environment that it has for itself, if it has one.
    """

    name: str
    module: str
    worker: Callable[[str, int], list[str]]
    concurrencies: tuple[int, ...]
    environment: str = ""


def _celery(module: str, concurrency: int) -> list[str]:
    return ["celery", "--app", module, "worker", "--pool", "prefork", "--concurrency", str(concurrency)]


def _taskiq(module: str, concurrency: int) -> list[str]:
    return ["taskiq", "worker", f"{module}:broker", "--workers", "1", "--max-async-tasks", str(concurrency)]


def _saq(module: str, concurrency: int) -> list[str]:
    return ["saq", f"{module}.settings"]


def _arq(module: str, concurrency: int) -> list[str]:
    return ["arq", f"{module}.WorkerSettings"]


def _dramatiq(module: str, concurrency: int) -> list[str]:
    return ["dramatiq", module, "--processes", "1", "--threads", str(concurrency)]


PEERS = (
    Peer("Celery prefork, Nylas' SDK, SQLModel", "with_celery_and_sdk", _celery, PROCESSES),
    Peer("Celery prefork, asyncio.run, httpx", "with_celery_and_asyncio_run", _celery, PROCESSES),
    Peer("taskiq", "with_taskiq", _taskiq, IN_FLIGHT),
    Peer("saq", "with_saq", _saq, IN_FLIGHT, environment="saq"),
    Peer("arq", "with_arq", _arq, IN_FLIGHT, environment="arq"),
    Peer("dramatiq", "with_dramatiq", _dramatiq, THREADS),
)


def parts_of(peer: Peer, stage: Stage, redis: str, concurrency: int) -> Parts:
    """What a peer is made of."""
    python = environments().get(peer.environment)
    if python is None:
        ours = f"{os.path.basename(sys.prefix)}-{peer.environment}"
        raise RuntimeError(f"its own environment {ours} is not here: ./dev bench makes it")
    module = f"{PACKAGE}.{peer.module}"
    return Parts(
        worker=[python, "-m", *peer.worker(module, concurrency)],
        giver=[python, "-m", module],
        environ=peer_environ(stage, concurrency) | {"BENCH_DATABASE_URL": stage.tables.run, "BENCH_REDIS_URL": redis},
        ready=READY,
        done=DONE,
    )


def peer_environ(stage: Stage, concurrency: int) -> dict[str, str]:
    """What a peer is told by its environment, but for its stores."""
    return dict(os.environ) | {
        "BENCH_DATABASE_URL": "",
        "BENCH_REDIS_URL": "",
        "BENCH_NYLAS_URL": stage.nylas.url,
        "BENCH_API_KEY": API_KEY,
        "BENCH_CREDENTIAL": CREDENTIAL,
        "BENCH_CONCURRENCY": str(concurrency),
    }
