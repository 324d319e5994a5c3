"""A flood: Nylas tells of all grants at once, and a real worker asks for them by the list, not one by one.

`EVERGRANT_TEST_FLOOD=10000` makes the whole flood; `pytest -s` shows the figures.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import func, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import Event, Incident, Transition
from models.database import Database
from models.kinds import GRANT_EXPIRED
from nylas_api import sign
from tests.installation import WEBHOOK_SECRET, Installation, expired
from tests.journeys import CREDENTIAL, read, seed, standing

GRANTS = int(os.environ.get("EVERGRANT_TEST_FLOOD", "400"))
SENDERS = 64
CALLS = 150


@pytest.fixture
def there(tmp_path: Path, database: Database, database_url: str) -> Iterator[Installation]:
    """An installation at Nylas' usual pace, with a second look that comes soon."""
    installation = Installation(tmp_path, database_url, rate=50, concurrency=50)
    installation.environ["EVERGRANT_GRACE_SECONDS"] = "5"
    yield installation
    installation.stop()


async def tell_all(there: Installation, grants: list[str]) -> float:
    """Send a webhook for each grant, over many connections; return how many seconds that took."""
    numbered = list(enumerate(grants))

    async def send(client: aiohttp.ClientSession) -> None:
        while numbered:
            number, grant_id = numbered.pop()
            body = json.dumps(expired(grant_id, number=number)).encode()
            headers = {"x-nylas-signature": sign(WEBHOOK_SECRET, body)}
            async with client.post(f"{there.web}/webhooks/nylas", data=body, headers=headers) as answer:
                assert answer.status == 200

    began = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SENDERS)) as client:
        await asyncio.gather(*(send(client) for _ in range(SENDERS)))
    return time.monotonic() - began


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_flood_of_expiries_is_settled_by_a_few_pages_of_the_list(there: Installation, database_url: str) -> None:
    there.start("simulator", "web", "worker")
    grants = seed(there, GRANTS, status="valid")
    there.sim("POST", f"credentials/{CREDENTIAL}/break", {"expire_grants": True})
    there.sim("DELETE", "calls")

    began = time.monotonic()
    sending = asyncio.run(tell_all(there, grants))
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
