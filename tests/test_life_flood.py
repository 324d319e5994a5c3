"""A flood: Nylas tells of all grants at once, and a real worker asks for them by the list, not one by one.

`EVERGRANT_TEST_FLOOD=10000` makes the whole flood; `pytest -s` shows the figures.
"""

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import Event, Incident, Transition
from models.database import Database
from models.kinds import GRANT_EXPIRED
from tests.installation import Installation, expired
from tests.journeys import CREDENTIAL, read, seed, standing

GRANTS = int(os.environ.get("EVERGRANT_TEST_FLOOD", "600"))
SENDERS = 16
CALLS = 150


@pytest.fixture
def there(tmp_path: Path, database: Database, database_url: str) -> Iterator[Installation]:
    """An installation at Nylas' usual pace, with a second look that comes soon."""
    installation = Installation(tmp_path, database_url, rate=50, concurrency=50)
    installation.environ["EVERGRANT_GRACE_SECONDS"] = "5"
    yield installation
    installation.stop()


def tell_all(there: Installation, grants: list[str]) -> float:
    """Send a webhook for each grant, over some connections; return how many seconds that took."""

    def send(mine: list[tuple[int, str]]) -> None:
        with httpx.Client(timeout=30) as client:
            for number, grant_id in mine:
                there.send(client, expired(grant_id, number=number)).raise_for_status()

    numbered = list(enumerate(grants))
    began = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, [numbered[n::SENDERS] for n in range(SENDERS)]))
    return time.monotonic() - began


@pytest.mark.timeout(600)
def test_a_flood_of_expiries_is_settled_by_a_few_pages_of_the_list(there: Installation, database_url: str) -> None:
    there.start("simulator", "web", "worker")
    grants = seed(there, GRANTS, status="valid")
    there.sim("POST", f"credentials/{CREDENTIAL}/break", {"expire_grants": True})
    there.sim("DELETE", "calls")

    began = time.monotonic()
    sending = tell_all(there, grants)
    hints = select(func.count()).where(col(Event.kind) == GRANT_EXPIRED, col(Event.settled_at).is_not(None))
    there.until(lambda: read(database_url, hints) == [GRANTS], seconds=300, what="all hints are settled")
    first = time.monotonic() - began, there.sim("GET", "calls")["total"]
    still_open = select(func.count()).where(col(Event.settled_at).is_(None))
    there.until(lambda: read(database_url, still_open) == [0], seconds=300, what="all second looks are had")
    last = time.monotonic() - began, there.sim("GET", "calls")["total"]

    sys.stdout.write(
        f"\n{GRANTS} webhooks in {sending:.1f} s; settled after {first[0]:.1f} s and {first[1]} calls, "
        f"the second looks after {last[0]:.1f} s and {last[1]} calls in all: {there.sim('GET', 'calls')['by_path']}\n"
    )
    assert standing(database_url, GrantStatus.EXPIRED) == GRANTS
    changes = select(func.count()).where(col(Transition.new_status) == GrantStatus.EXPIRED)
    assert read(database_url, changes, select(func.count()).select_from(Incident)) == [GRANTS, 1]
    assert first[1] <= CALLS
