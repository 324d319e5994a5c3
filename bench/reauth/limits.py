"""The limits: the calls alone, by a client in Python, and by wrk."""

import re
import shutil
import subprocess
import sys
import time

from bench.course import Figures
from bench.processes import cpu_seconds, peak_memory_mb, start
from bench.reauth.evergrant import API_KEY
from bench.reauth.going import Stage
from bench.reauth.others import PACKAGE, peer_environ
from bench.servers import CREDENTIAL, CUSTOM, email_of

SECONDS = 3
RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
ERRORS = re.compile(r"(Non-2xx.*|Socket errors.*)")

SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {API_KEY}"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{{"provider":"google","settings":{{"credential_id":"{CREDENTIAL}","email_address":"{email_of(0)}"}}}}'
"""


def bare(stage: Stage, client: str, concurrency: int) -> Figures:
    """A loop in a process of its own, which stores nothing."""
    stage.nylas.forget()
    command = [sys.executable, "-m", f"{PACKAGE}.bare", client, str(stage.grants)]
    with start(command, environ=peer_environ(stage, concurrency)) as loop:
        assert loop.stdin is not None
        assert loop.stdout is not None
        if loop.stdout.readline().strip() != "ready":
            raise RuntimeError("the loop could not start")
        before, began = cpu_seconds(loop.pid), time.monotonic()
        loop.stdin.write("go\n")
        loop.stdin.flush()
        if loop.stdout.readline().strip() != "sent":
            raise RuntimeError("the loop did not come to its end")
        took = time.monotonic() - began
        spent, memory = cpu_seconds(loop.pid) - before, peak_memory_mb(loop.pid)
        loop.stdin.close()
    calls = stage.nylas.calls().get(CUSTOM, 0)
    return {
        "per_second": stage.grants / took,
        "cpu_ms_each": spent * 1_000 / stage.grants,
        "memory_mb": memory,
        "calls": calls,
    }


def wrk(stage: Stage, concurrency: int) -> Figures:
    """What the stand-in can answer at most, asked from one thread in C."""
    tool = shutil.which("wrk")
    if tool is None:
        raise RuntimeError("skipped: wrk is not installed here")
    script = stage.folder / "custom.lua"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [
            *(tool, "--threads", "1", "--connections", str(concurrency), "--duration", f"{SECONDS}s"),
            *("--script", str(script), f"{stage.nylas.url}/v3/connect/custom"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS + 30,
    )
    found, wrong = RATE.search(done.stdout), ERRORS.search(done.stdout)
    if found is None or wrong:
        raise RuntimeError(f"wrk: {wrong[0] if wrong else done.stdout[-200:]}")
    return {"per_second": float(found[1])}
