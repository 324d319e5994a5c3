"""The demo takes down what it put up, whatever happens to it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ingress.children import accepts


def processes_naming(folder: str) -> list[str]:
    """The command lines of the processes that have something to do with the demo's folder."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if folder.encode() in told:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc, which only Linux has")
@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (["--postgres"], signal.SIGKILL),
        ([], signal.SIGKILL),
        ([], signal.SIGINT),
        ([], signal.SIGTERM),
    ],
)
def test_nothing_is_left_running_when_the_demo_is_ended(arguments: list[str], end: signal.Signals) -> None:
    with tempfile.TemporaryDirectory(prefix="evergrant-test-") as folder:
        Path(folder).chmod(0o755)  # root's PostgreSQL runs as another user, who must get there
        demo = subprocess.Popen(
            [sys.executable, "-m", "ingress", "demo", *arguments],
            env={**os.environ, "TMPDIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert demo.stdout is not None
        for line in demo.stdout:
            if "Three users sign in" in line:
                break
        started = processes_naming(folder)
        for part in ("demo", "simulator", "worker", "beat", "web", "valkey", *(word.strip("-") for word in arguments)):
            assert any(part in command for command in started), f"{part} does not run: {started}"
        (valkey,) = (int(port) for port in re.findall(r"valkey-server --port (\d+)", " ".join(started)))

        demo.send_signal(end)
        said, _ = demo.communicate(timeout=30)

        deadline = time.monotonic() + 15
        while (left := processes_naming(folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == []
        assert not accepts(valkey)
        if end is not signal.SIGKILL:
            assert list(Path(folder).iterdir()) == []
            assert demo.returncode == 130
            assert "nothing is left running" in said


@pytest.mark.long
def test_the_demo_sees_what_it_should_see_and_says_so() -> None:
    done = subprocess.run([sys.executable, "-m", "ingress", "demo"], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout[-3_000:]
    assert "All as it should be" in done.stdout
