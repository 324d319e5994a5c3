"""The kinds of fault: what each does, how long it takes, and on which database it makes sense."""

from collections.abc import Mapping
from dataclasses import dataclass

from storm.faults import databases, processes, product, releases, valkey
from storm.faults.at_nylas import BLOWS, Blow
from storm.plan import Kind


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. Its blow returns what proves that it fired, or raises DidNotFire."""

    blow: Blow
    seconds: float
    sqlite: bool = True
    postgres: bool = True
    with_campaign: bool = False
    drawn: bool = True
    """Whether it strikes in any storm, or only where it is asked for by a way of its own."""


UPGRADE = "all: an upgrade, one by one"

FAULTS: Mapping[str, Fault] = {
    "worker: kill -9": Fault(processes.kill_worker, 1.0, with_campaign=True),
    "worker: kill -9, once more": Fault(processes.kill_worker, 1.0),
    "beat: kill -9": Fault(processes.kill_beat, 1.0),
    "web: kill -9": Fault(processes.kill_web, 1.0),
    "worker: stopped past its lease": Fault(processes.pause_worker, 18.0),
    "all: SIGTERM, one by one": Fault(processes.roll, 15.0),
    "worker: its clock is 10 min off": Fault(processes.skew_worker, 12.0, sqlite=False),
    "valkey: FLUSHALL": Fault(valkey.flush, 0.1),
    "valkey: SHUTDOWN NOSAVE": Fault(valkey.restart, 2.0),
    "valkey: CLIENT PAUSE": Fault(valkey.pause, 3.0),
    "valkey: CLIENT KILL": Fault(valkey.cut, 0.1),
    "valkey: SIGSTOP": Fault(valkey.stop, 4.0),
    "valkey: maxmemory": Fault(valkey.fill, 3.0),
    "postgres: immediate stop": Fault(databases.crash_postgres, 3.0, sqlite=False, with_campaign=True),
    "postgres: connections killed": Fault(databases.cut_postgres, 0.1, sqlite=False),
    "postgres: SIGSTOP": Fault(databases.pause_postgres, 4.0, sqlite=False),
    "sqlite: full": Fault(databases.fill_sqlite, 15.0, postgres=False),
    "sqlite: its files can't grow": Fault(databases.cap_sqlite, 4.0, postgres=False),
    "sqlite: locked": Fault(databases.lock_sqlite, 4.0, postgres=False),
    "product: down": Fault(product.down, 3.0),
    UPGRADE: Fault(releases.upgrade, 30.0, with_campaign=True, drawn=False),
    **{name: Fault(blow, seconds, with_campaign=True) for name, (blow, seconds) in BLOWS.items()},
}


def kinds(*, on_postgres: bool) -> list[Kind]:
    """What can strike an installation on this database."""
    return [
        kind_of(name)
        for name, fault in FAULTS.items()
        if fault.drawn and (fault.postgres if on_postgres else fault.sqlite)
    ]


def kind_of(name: str) -> Kind:
    """What the plan must know of a fault."""
    fault = FAULTS[name]
    return Kind(name, fault.seconds, fault.with_campaign)
