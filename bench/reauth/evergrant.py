"""Evergrant in this course: the worker of `evergrant worker`, and the campaign of `evergrant reauth`."""

import base64
import os
import subprocess
import sys

from bench.reauth.going import Parts, Stage, started
from bench.reauth.tables import SEEDED
from bench.servers import CREDENTIAL

API_KEY = "nyk_bench"
CAMPAIGN = ["reauth", "--credential", CREDENTIAL, "--yes", "--no-wait"]
SECRET_KEY = base64.b64encode(bytes(range(32))).decode()
READY = "worker.ready"
SEEDING = 300.0
OPEN = (
    "SELECT count(*) FROM event WHERE settled_at IS NULL",
    "SELECT count(*) FROM notice WHERE settled_at IS NULL",
)
DONE = "SELECT count(*) FROM \"grant\" WHERE status = 'valid'"


def seed(stage: Stage) -> None:
    """Let Evergrant take in every grant that Nylas has, as a new installation does, and tell whom it has to of each.

    What that leaves to do would otherwise be done in each run, beside the work.
    """
    with stage.valkey() as redis:
        environ = _environ(stage, stage.tables.seeded, redis=redis)
        for command in ("migrate", "sync"):
            done = subprocess.run(
                [sys.executable, "-m", "ingress", command], env=environ, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"evergrant {command}: {done.stderr.strip()[-400:]}")
        with started(stage, _worker(50), environ, ready=READY, name="seeding") as going:
            for question in OPEN:
                stage.tables.wait_for(question, 0, seconds=SEEDING, going=going.check, database=SEEDED)


def evergrant(stage: Stage, redis: str, concurrency: int) -> Parts:
    """With default settings, but for the limit of calls a second, which no peer has either."""
    return Parts(
        worker=_worker(concurrency),
        giver=[sys.executable, "-m", "bench.reauth.evergrant_asks", *CAMPAIGN],
        environ=_environ(stage, stage.tables.run, redis=redis),
        ready=READY,
        done=DONE,
    )


def _worker(concurrency: int) -> list[str]:
    return [sys.executable, "-m", "ingress", "worker", "--concurrency", str(concurrency)]


def _environ(stage: Stage, database: str, *, redis: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVERGRANT_")}
    return clean | {
        "EVERGRANT_DATA_DIR": str(stage.folder / "data"),
        "EVERGRANT_DATABASE_URL": database,
        "EVERGRANT_REDIS_URL": redis,
        "EVERGRANT_NYLAS_API_KEY": API_KEY,
        "EVERGRANT_NYLAS_CLIENT_ID": "bench",
        "EVERGRANT_NYLAS_API_URI": stage.nylas.url,
        "EVERGRANT_NYLAS_RATE": "0",
        "EVERGRANT_PUBLIC_URL": "http://127.0.0.1:8000",
        "EVERGRANT_SECRET_KEYS": SECRET_KEY,
    }
