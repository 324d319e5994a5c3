"""The API's incidents, notices and events: the newest first, found by what is asked for, and without secrets."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from lifecycle.incidents import Scope
from models import Application, Delivery, Endpoint, Event, HeldBy, Incident, Notice, NoticeKind, Outcome
from models.columns import new_id
from models.database import Database
from models.inbox import told
from models.kinds import GRANT_EXPIRED, GRANT_UPDATED
from tests.api import NOW, Api, opened
from tests.front import installed, without_database

__all__ = ["installed", "without_database"]
pytestmark = pytest.mark.usefixtures("installed")

LATER = NOW + timedelta(hours=1)


def an_event(api: Api, key: str, kind: str = GRANT_EXPIRED, **more: Any) -> Event:
    """The row of an event."""
    row = told(kind, key, application_id=api.application.id, source="nylas", now=NOW, grant_id="g1")
    return _with(row, more)


def a_notice(api: Api, kind: NoticeKind, **more: Any) -> Notice:
    """The row of a notice about the grant."""
    row = Notice(
        id=new_id(),
        application_id=api.application.id,
        kind=kind,
        grant_id="g1",
        occurred_at=NOW,
        created_at=NOW,
        due_at=NOW,
    )
    return _with(row, more)


def an_incident(api: Api, subject: str, **more: Any) -> Incident:
    """The row of an incident."""
    row = Incident(
        id=new_id(),
        application_id=api.application.id,
        scope=Scope.CONNECTOR,
        subject=subject,
        what=f"25 grants of the {subject} connector expired within 10 minutes",
        opened_at=NOW,
        due_at=NOW,
    )
    return _with(row, more)


def _with(row: Any, values: dict[str, Any]) -> Any:
    for name, value in values.items():
        setattr(row, name, value)
    return row


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Api]:
    """The API, open, with a grant, and with an event of another application's."""
    async with opened(database, valkey) as api:
        other = Application(
            id=new_id(), client_id="another", api_uri="https://x", api_key="eg1.x", created_at=NOW, updated_at=NOW
        )
        await api.keep(api.grant("g1"), other)
        await api.keep(an_event(api, "theirs", application_id=other.id))
        yield api


async def found(api: Api, path: str, key: str, **query: Any) -> list[str]:
    """The ids, or other values, of what a list holds."""
    return [row[key] for row in (await api("GET", path, params=query, by="read"))["data"]]


async def test_events_are_found_the_newest_first(api: Api) -> None:
    rows = [
        an_event(api, "a", settled_at=LATER, outcome=Outcome.SET_ASIDE, reason="it names no grant"),
        an_event(api, "b", GRANT_UPDATED, settled_at=LATER, outcome=Outcome.DONE, request_id="req-1"),
        an_event(api, "c", grant_id=None),
    ]
    await api.keep(*rows)
    a, b, c = (str(row.id) for row in rows)
    assert await found(api, "/events", "event_id") == [c, b, a]
    assert await found(api, "/events", "event_id", state="open") == [c]
    assert await found(api, "/events", "event_id", state="closed", grant_id="g1") == [b, a]
    assert await found(api, "/events", "reason", outcome="set_aside") == ["it names no grant"]
    assert await found(api, "/events", "request_id", kind=GRANT_UPDATED) == ["req-1"]
    first = await api("GET", "/events", params={"limit": 2})
    rest = await api("GET", "/events", params={"limit": 2, "cursor": first["next_cursor"]})
    assert [event["event_id"] for event in first["data"] + rest["data"]] == [c, b, a]
    assert rest["next_cursor"] is None


async def test_notices_say_where_they_went_and_keep_their_link_to_themselves(api: Api) -> None:
    sent = a_notice(api, NoticeKind.REAUTH_REQUIRED, settled_at=LATER, outcome=Outcome.DONE, data={"link": "hush"})
    held = a_notice(api, NoticeKind.EXPIRED, held_by=HeldBy.CONFIRMATION)
    moot = a_notice(api, NoticeKind.UNATTENDED, settled_at=LATER, outcome=Outcome.SKIPPED, reason="it recovered")
    endpoint = Endpoint(
        id=new_id(),
        application_id=api.application.id,
        url="https://ada:hush@product.example/in?key=hush",
        secret="eg1.x",
        source="cli",
        created_at=NOW,
    )
    await api.keep(sent, held, moot, endpoint)
    way = Delivery(id=new_id(), notice_id=sent.id, endpoint_id=endpoint.id, grant_id="g1", due_at=NOW)
    await api.keep(_with(way, {"attempts": 2, "http_status": 500, "reason": "it answered 500"}))

    answer = await api("GET", "/notices", by="read")
    assert [notice["kind"] for notice in answer["data"]] == [
        "grant.unattended",
        "grant.expired",
        "grant.reauth_required",
    ]
    assert "hush" not in str(answer)
    [delivery] = answer["data"][2]["deliveries"]
    assert (delivery["endpoint"], delivery["attempts"], delivery["http_status"], delivery["outcome"]) == (
        "https://product.example/in",
        2,
        500,
        None,
    )
    assert await found(api, "/notices", "held_by", state="open") == ["confirmation"]
    assert await found(api, "/notices", "reason", outcome="skipped") == ["it recovered"]
    assert await found(api, "/notices", "notice_id", kind="grant.expired", grant_id="g1") == [str(held.id)]
    assert await found(api, "/notices", "notice_id", grant_id="g2") == []


async def test_incidents_are_open_or_closed(api: Api) -> None:
    closed = an_incident(api, "google", settled_at=LATER, outcome=Outcome.DONE, reason="it is over")
    still_open = an_incident(api, "microsoft", canary="g1", grants=25)
    await api.keep(closed, still_open)
    assert await found(api, "/incidents", "subject") == ["microsoft", "google"]
    assert await found(api, "/incidents", "canary", state="open") == ["g1"]
    [told_of] = (await api("GET", "/incidents", params={"state": "closed"}))["data"]
    assert (told_of["reason"], told_of["closed_at"]) == ("it is over", "2026-03-01T13:00:00Z")
    await api.keep(a_notice(api, NoticeKind.EXPIRED, incident_id=still_open.id, held_by=HeldBy.INCIDENT))
    assert await found(api, "/notices", "held_by", incident_id=str(still_open.id)) == ["incident"]
    assert await found(api, "/notices", "held_by", incident_id=str(closed.id)) == []
