"""Child processes on their leash, the servers that we bring along, and the programs that we keep running."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from redis import Redis

from ingress import children
from ingress.children import OURS, Child, DidNotStart, accepts, free_port
from ingress.embedded import start_postgres, start_valkey

ROOT = Path(__file__).parents[1]


def within(seconds: float, it_is_so: Callable[[], bool]) -> bool:
    """Wait until it is so; say whether it was."""
    deadline = time.monotonic() + seconds
    while not it_is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_gone(pid: int) -> bool:
    """Whether no process of this id lives; in a container, nobody may clear away the dead."""
    told = subprocess.run(["/bin/ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip()[:1] in ("", "Z")


def pid_in(file: Path) -> int:
    """The process id that a child wrote down, once it has."""
    assert within(10, lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def shell(script: str, *, log: Path | None = None, end_by: signal.Signals = signal.SIGTERM) -> Child:
    """A child that runs a shell script."""
    return Child("shell", ["sh", "-c", script], log=log, end_by=end_by)


HOLDER = """
import sys, time
from ingress.children import Child
Child("sleeper", ["sh", "-c", "echo $$ > " + sys.argv[1] + "; exec sleep 60"])
time.sleep(60)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_when_its_holder_does_however_that_died(python: str, tmp_path: Path, end: signal.Signals) -> None:
    file = tmp_path / "pid"
    holder = subprocess.Popen([python, "-c", HOLDER, str(file)], cwd=ROOT)
    pid = pid_in(file)

    holder.send_signal(end)
    holder.wait()

    assert within(2, lambda: is_gone(pid))


def test_a_child_ends_when_it_is_told_to(tmp_path: Path) -> None:
    child = shell(f"echo $$ > {tmp_path}/pid; exec sleep 60")
    pid = pid_in(tmp_path / "pid")
    assert child.ended is None

    child.stop()

    assert child.ended == 128 + signal.SIGTERM
    assert is_gone(pid)
    child.stop()  # once more is nothing


@pytest.mark.long
def test_a_child_is_ended_by_the_signal_of_its_choice(tmp_path: Path) -> None:
    """PostgreSQL's SIGTERM waits for its clients; its SIGINT does not."""
    child = shell(f"trap 'exit 42' INT; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done", end_by=signal.SIGINT)
    pid_in(tmp_path / "pid")
    child.stop()
    assert child.ended == 42


def test_a_child_that_won_t_end_is_killed(tmp_path: Path) -> None:
    child = shell(f"trap '' TERM INT; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done")
    pid = pid_in(tmp_path / "pid")

    child.stop(seconds=0.3)

    assert child.ended == -signal.SIGKILL
    assert within(1, lambda: is_gone(pid))


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)])
def test_exit_codes_pass_through_as_a_shell_tells_them(script: str, code: int) -> None:
    child = shell(script)
    assert within(10, lambda: child.ended is not None)
    assert child.ended == code
    child.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_pass_on(tmp_path: Path, number: signal.Signals) -> None:
    trap = f"trap 'exit 9' {number.name[3:]}"
    child = shell(f"{trap}; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done")
    pid_in(tmp_path / "pid")
    time.sleep(0.2)
    child.process.send_signal(number)
    assert within(2, lambda: child.ended is not None)
    assert child.ended == 9
    child.stop()


def test_ctrl_c_at_our_terminal_does_not_reach_a_child() -> None:
    child = shell("sleep 60")
    assert os.getsid(child.process.pid) != os.getsid(0)
    child.stop()


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="only Linux weighs sessions, and not each does")
@pytest.mark.parametrize("nicer", [0, 5])
def test_a_child_s_session_is_as_nice_to_the_others_as_it_is_told_to_be(tmp_path: Path, nicer: int) -> None:
    child = Child("shell", ["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"], nicer=nicer)
    pid = pid_in(tmp_path / "pid")
    assert Path(f"/proc/{pid}/autogroup").read_text().endswith(f" nice {nicer}\n")
    child.stop()


def test_who_did_not_start_is_quoted(tmp_path: Path) -> None:
    child = shell("for i in $(seq 1 40); do echo line $i; done; exit 3", log=tmp_path / "log")
    with pytest.raises(DidNotStart) as error:
        child.wait_until(lambda: False, seconds=10)
    told = str(error.value).splitlines()
    assert told[0] == "shell ended with exit code 3:"
    assert told[1:] == [f"line {number}" for number in range(26, 41)]
    child.stop()


def test_who_is_not_ready_in_time_is_named() -> None:
    child = shell("sleep 60")
    with pytest.raises(DidNotStart, match=r"^shell was not ready within 0\.2 s$"):
        child.wait_until(lambda: False, seconds=0.2)
    child.stop()


def test_a_valkey_keeps_its_data_over_a_restart_and_never_evicts(tmp_path: Path) -> None:
    server, url = start_valkey(tmp_path / "kept", keep=True)
    with Redis.from_url(url, decode_responses=True) as redis:
        redis.set("a", "kept")
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert redis.config_get("bind") == {"bind": "127.0.0.1"}
    server.stop()
    assert server.ended == 0

    server, url = start_valkey(tmp_path / "kept", keep=True)
    with Redis.from_url(url, decode_responses=True) as redis:
        assert redis.get("a") == "kept"
    server.stop()


def test_a_valkey_that_can_t_start_says_why(tmp_path: Path) -> None:
    server, url = start_valkey(tmp_path / "one", keep=False)
    try:
        port = int(url.rpartition(":")[2].partition("/")[0])
        (tmp_path / "two" / "appendonlydir").mkdir(parents=True)
        (tmp_path / "two" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
        with pytest.raises(DidNotStart, match=r"valkey ended with exit code 1:\n(.*\n)*.*manifest"):
            start_valkey(tmp_path / "two", keep=True)
        assert accepts(port)
    finally:
        server.stop()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach too; those of pytest are closed to others."""
    with tempfile.TemporaryDirectory(prefix="evergrant-postgres-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "postgres"


@pytest.mark.long
async def test_a_postgresql_answers_once_it_is_started_and_keeps_its_cluster(open_folder: Path) -> None:
    """Also after a crash, when it listens long before it takes anybody in."""
    server, url = start_postgres(open_folder)
    try:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        await connection.close()
        server.stop()
        assert server.ended == 0

        for number in range(1, 4):
            server, url = start_postgres(open_folder)
            connection = await asyncpg.connect(url)
            assert await connection.fetchval("SELECT count(*) FROM kept") == 20000 * number
            await connection.execute("INSERT INTO kept SELECT * FROM kept LIMIT 20000")
            connection.terminate()
            postmaster = int((open_folder / "cluster" / "postmaster.pid").read_text().splitlines()[0])
            os.kill(postmaster, signal.SIGKILL)
            assert within(10, lambda server=server: server.ended is not None)
            assert server.ended == 137
            server.stop()
    finally:
        server.stop()


KEEPER = """
import sys
from pathlib import Path
from ingress.supervisor import Supervisor
supervisor = Supervisor({"A_SETTING": "told"}, logs=Path(sys.argv[1]))
supervisor.stop_on_signals()
supervisor.start("good", "simulator", "--port", sys.argv[2])
supervisor.start("bad", "no-such-command")
supervisor.keep_running()
supervisor.stop()
print("stopped", flush=True)
"""


@pytest.mark.long
def test_a_program_that_dies_is_started_again_after_waits_that_grow(python: str, tmp_path: Path) -> None:
    """One that lives is left alone, and all end with the supervisor."""
    port, log = free_port(), tmp_path / "keeper.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen([python, "-c", KEEPER, str(tmp_path), str(port)], cwd=ROOT, stdout=output)
    waits = ["starts_again_in=0.5", "starts_again_in=1.0", "starts_again_in=2.0"]
    assert within(20, lambda: waits[-1] in log.read_text())
    assert accepts(port)
    keeper.send_signal(signal.SIGTERM)

    assert keeper.wait(15) == 0
    assert not accepts(port)
    told = log.read_text()
    died = [line for line in told.splitlines() if "program.died" in line]
    assert [wait in line for wait, line in zip(waits, died, strict=False)] == [True, True, True]
    assert all("bad" in line and "exit_code=2" in line for line in died)
    assert told.endswith("stopped\n")
    assert "No such command" in (tmp_path / "bad.log").read_text()


def test_a_free_port_is_free_and_none_that_an_outgoing_connection_takes() -> None:
    with (
        socket.create_server(("127.0.0.1", free_port())) as taken,
        socket.create_connection(taken.getsockname()) as out,
    ):
        assert taken.getsockname()[1] in OURS
        assert out.getsockname()[1] not in OURS


def test_a_port_that_is_taken_is_not_free_and_it_is_said_if_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(children, "OURS", range(port, port + 1))
        with pytest.raises(OSError, match="none of a hundred ports"):
            free_port()
    assert free_port() == port
