"""What the product reports, and the links that it asks for: each kept before it is answered, and one look for many."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from lifecycle import GrantStatus
from models import Event, Outcome, ReauthLink
from models.database import Database
from models.kinds import GRANT_REPORTED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import look_at_reported
from tests.api import Api, opened
from tests.conftest import SetClock
from tests.front import WEB, inbox, installed, only_sqlite, without_database
from tests.stories import at_nylas, known, outcomes, the_grant

__all__ = ["installed", "without_database"]
pytestmark = pytest.mark.usefixtures("installed")

FAILED = {"status": 401}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Api]:
    """The API, open, with a grant."""
    async with opened(database, valkey) as api:
        await api.keep(api.grant("g1"), api.grant("g2"))
        yield api


async def test_many_failures_of_one_grant_at_once_are_one_event(api: Api) -> None:
    answers = await asyncio.gather(
        *(api("POST", "/grants/g1/reports", json=FAILED, by="grants", status=202) for _ in range(200))
    )
    [event] = await inbox(api.database)
    assert (event.kind, event.grant_id, event.source) == (GRANT_REPORTED, "g1", "api")
    assert event.settled_at is None
    assert {answer["event_id"] for answer in answers} == {str(event.id)}
    assert sum(not answer["repeated"] for answer in answers) == 1


async def test_reports_of_two_grants_are_two(api: Api) -> None:
    for grant in ("g1", "g2", "g1"):
        await api("POST", f"/grants/{grant}/reports", json=FAILED, status=202)
    assert sorted(event.grant_id or "" for event in await inbox(api.database)) == ["g1", "g2"]


@only_sqlite
async def test_after_a_minute_a_report_is_a_new_reason_to_look_if_the_first_was_dealt_with(api: Api) -> None:
    async def report() -> bool:
        return not (await api("POST", "/grants/g1/reports", json=FAILED, status=202))["repeated"]

    async def amend(**values: object) -> None:
        async with api.database.writing() as session:
            await session.execute(update(Event).values(**values))

    long_ago = datetime.now(UTC) - timedelta(seconds=61)
    assert await report()
    await amend(settled_at=datetime.now(UTC), outcome=Outcome.DONE)
    assert not await report()
    await amend(received_at=long_ago, settled_at=None, outcome=None)
    assert not await report()
    await amend(settled_at=long_ago, outcome=Outcome.DONE)
    assert await report()
    assert len(await inbox(api.database)) == 2


async def test_a_report_is_a_reason_to_look_and_nylas_says_how_the_grant_stands(
    ctx: Context, sim: Running, clock: SetClock, database: Database, valkey: str
) -> None:
    works, dead = await known(ctx, sim, 2)
    at_nylas(sim, dead).grant_status = "invalid"
    async with opened(database, valkey) as api:
        ids = [
            UUID((await api("POST", f"/grants/{grant}/reports", json=FAILED, status=202))["event_id"])
            for grant in (works, dead)
        ]
    clock.forward(seconds=5)
    await look_at_reported.run(ctx, ids)
    assert await outcomes(ctx, ids) == [Outcome.DONE, Outcome.DONE]
    assert [(await the_grant(ctx, grant)).status for grant in (works, dead)] == [GrantStatus.VALID, GrantStatus.EXPIRED]


@only_sqlite
async def test_what_was_seen_is_kept_for_the_story(api: Api) -> None:
    seen = datetime.now(UTC) - timedelta(minutes=3)
    report = {"status": 403, "occurred_at": seen.isoformat(), "request_id": "req-7", "detail": "at the calendar"}
    await api("POST", "/grants/g1/reports", json=report, by="grants", status=202)
    [line] = (await api("GET", "/grants/g1/timeline"))["data"]
    assert (line["kind"], line["actor"]) == ("report", "the product")
    assert line["what"] == (
        f"the product (token grants) reported that it fails with 403 since {seen:%Y-%m-%d %H:%M:%S}, "
        "at Nylas' request req-7: at the calendar"
    )


@only_sqlite
async def test_a_failure_of_tomorrow_is_one_of_now(api: Api) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    await api("POST", "/grants/g1/reports", json=FAILED | {"occurred_at": tomorrow}, status=202)
    [event] = await inbox(api.database)
    assert event.occurred_at == event.received_at


@only_sqlite
async def test_what_is_no_report_is_refused(api: Api) -> None:
    wrong: list[tuple[Any, str]] = [
        ({"status": 500}, "body.status"),
        ({"status": "401"}, "body.status"),
        ({}, "body.status: Field required"),
        ({"status": 401, "occurred_at": "2026-03-01T12:00:00"}, "body.occurred_at"),
        ({"status": 401, "occurred_at": "yesterday"}, "body.occurred_at"),
        ({"status": 401, "request_id": "x" * 129}, "body.request_id"),
        ({"status": 401, "detail": "a\u0000b"}, "body.detail"),
        ({"status": 401, "secret": 1}, "body.secret"),
        ([401], "body"),
    ]
    for body, where in wrong:
        assert where in (await api("POST", "/grants/g1/reports", json=body, status=422))["detail"], body
    for content in (b"{", b'{"status": 401', b"\xff\xfe", b"[" * 10_000, b""):
        answer = await api.http.post(
            "/api/v1/grants/g1/reports", content=content, headers={"Authorization": "Bearer grants"} | JSON
        )
        assert answer.status_code in (400, 422), content
        assert answer.headers["content-type"] == "application/problem+json"
    assert await inbox(api.database) == []


async def _link(api: Api, link_id: str) -> ReauthLink:
    async with api.database.reading() as session:
        return (await session.scalars(select(ReauthLink).where(col(ReauthLink.id) == UUID(link_id)))).one()


async def test_a_link_is_given_out_once_and_can_be_revoked(api: Api) -> None:
    given = await api("POST", "/grants/g1/links", by="grants", status=201)
    assert given["url"].startswith(f"{WEB}/reauth/")
    assert given["grant_id"] == "g1"
    row = await _link(api, given["link_id"])
    assert (row.created_by, row.expires_at.isoformat()) == ("token grants", given["expires_at"].replace("Z", "+00:00"))
    for _ in range(2):
        assert await api("DELETE", f"/links/{given['link_id']}", by="grants", status=204) is None
    assert (await _link(api, given["link_id"])).revoked_at is not None
    lines = [line["what"] for line in (await api("GET", "/grants/g1/timeline"))["data"]]
    assert [line.split(" was ")[1].split(",")[0] for line in lines] == ["given out", "revoked"]
    assert given["url"].rpartition("/")[2] not in str(lines)


@only_sqlite
async def test_a_link_that_was_spent_or_never_was_can_t_be_revoked(api: Api) -> None:
    given = await api("POST", "/grants/g1/links", status=201)
    async with api.database.writing() as session:
        await session.execute(update(ReauthLink).values(spent_at=datetime.now(UTC)))
    assert (await api("DELETE", f"/links/{given['link_id']}", status=409))["code"] == "link_spent"
    assert (await api("DELETE", "/links/0190f3a0-0000-7000-8000-000000000000", status=404))["code"] == "unknown_link"
    assert "path.link_id" in (await api("DELETE", "/links/1", status=422))["detail"]


@only_sqlite
async def test_nobody_signs_in_at_a_provider_without_a_sign_in(api: Api) -> None:
    await api.keep(api.grant("v1", provider="virtual-calendar"))
    assert (await api("POST", "/grants/v1/links", status=409))["code"] == "not_renewable"
