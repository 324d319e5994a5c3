"""Evergrant in this course: the worker of `evergrant worker`, and the campaign of `evergrant reauth`."""

import base64
import os
import subprocess
import sys

from bench.reauth.going import Parts, Stage
from bench.servers import CREDENTIAL

API_KEY = "nyk_bench"
CAMPAIGN = ["reauth", "--credential", CREDENTIAL, "--yes", "--no-wait"]
SECRET_KEY = base64.b64encode(bytes(range(32))).decode()
DONE = "SELECT count(*) FROM \"grant\" WHERE status = 'valid'"


def seed(stage: Stage) -> None:
    """Let Evergrant take in every grant that Nylas has, as a new installation does."""
    environ = _environ(stage, stage.tables.seeded, redis="redis://127.0.0.1:1/0")
    for command in ("migrate", "sync"):
        done = subprocess.run(
            [sys.executable, "-m", "ingress", command], env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"evergrant {command}: {done.stderr.strip()[-400:]}")


def evergrant(stage: Stage, redis: str, concurrency: int) -> Parts:
    """With default settings, but for the limit of calls a second, which no peer has either."""
    return Parts(
        worker=[sys.executable, "-m", "ingress", "worker", "--concurrency", str(concurrency)],
        giver=[sys.executable, "-m", "bench.reauth.evergrant_asks", *CAMPAIGN],
        environ=_environ(stage, stage.tables.run, redis=redis),
        ready="worker.ready",
        done=DONE,
    )


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
