"""Where a peer finds what it works with, and how many tasks it may have in flight: all of it from the environment."""

import os

DATABASE = os.environ["BENCH_DATABASE_URL"].removeprefix("postgresql://")
REDIS = os.environ["BENCH_REDIS_URL"]
NYLAS = os.environ["BENCH_NYLAS_URL"]
API_KEY = os.environ["BENCH_API_KEY"]
CREDENTIAL = os.environ["BENCH_CREDENTIAL"]
CONCURRENCY = int(os.environ["BENCH_CONCURRENCY"])

CONNECTIONS = 20
READY = "peer is ready"


def settings(email: str) -> dict[str, str]:
    """What Nylas authenticates a mailbox by: the organisation's credential."""
    return {"credential_id": CREDENTIAL, "email_address": email}


def say_ready() -> None:
    """Tell whoever reads the log that work can come."""
    os.write(2, f"{READY}\n".encode())
