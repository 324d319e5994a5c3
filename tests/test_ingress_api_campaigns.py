"""The API's campaigns: asked for once, shown, steered from where it makes sense, and followed to their end."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from ingress.api import PATH
from models import CampaignStatus, Event
from models.database import Database
from models.kinds import REAUTH_BULK_REQUESTED
from tests.api import Api, bearer, opened
from tests.campaigning import a_campaign, an_item, failed
from tests.front import installed, without_database

__all__ = ["installed", "without_database"]
pytestmark = pytest.mark.usefixtures("installed")

NEVER = "0190f3a0-0000-7000-8000-000000000000"


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Api]:
    """The API, open, with two grants that have a credential, and one that has none."""
    async with opened(database, valkey) as api:
        await api.keep(
            api.grant("g1", credential_id="c"),
            api.grant("g2", credential_id="c"),
            api.grant("g3", provider="microsoft"),
            api.token("starter", ["campaigns"]),
        )
        yield api


async def requested(api: Api) -> list[Event]:
    """The events that ask for campaigns."""
    async with api.database.reading() as session:
        wanted = select(Event).where(col(Event.kind) == REAUTH_BULK_REQUESTED)
        return list(await session.scalars(wanted))


async def test_a_campaign_is_asked_for_and_committed(api: Api) -> None:
    body = {"filter": {"provider": "google"}, "rate": 5, "max_failures": "5%"}
    told = await api("POST", "/campaigns", json=body, status=201, by="starter")
    assert (told["status"], told["source"], told["actor"]) == ("planned", "api", "token starter")
    assert (told["filter"], told["rate"], told["max_failures"]) == ({"provider": "google"}, 5, "5%")
    [event] = await requested(api)
    assert json.loads(event.raw) == {"campaign": told["campaign_id"]}
    assert (await api("GET", f"/campaigns/{told['campaign_id']}", by="read"))["campaign_id"] == told["campaign_id"]


async def test_a_dry_run_counts_and_writes_nothing(api: Api) -> None:
    by_filter = await api("POST", "/campaigns", params={"dry_run": "true"}, json={"filter": {}})
    names = {"grants": ["g1", "G2@EXAMPLE.COM", "nobody", "g1"]}
    by_names = await api("POST", "/campaigns", params={"dry_run": "true"}, json=names)
    assert (by_filter["matching"], by_filter["ways"], by_filter["calls"]) == (3, {"credential": 2}, 2)
    assert list(by_filter["skipped"].values()) == [1]
    assert (by_names["matching"], by_names["ways"]) == (3, {"credential": 2})
    assert await requested(api) == []


@pytest.mark.parametrize("where", ["header", "quoted header", "body"])
async def test_the_same_key_is_the_same_campaign(api: Api, where: str) -> None:
    body: dict[str, Any] = {"filter": {}}
    headers = {"Idempotency-Key": "monday"} if where == "header" else {"Idempotency-Key": '"monday"'}
    asking: dict[str, Any] = {"json": body, "headers": bearer("starter") | headers}
    if where == "body":
        asking = {"json": body | {"idempotency_key": "monday"}, "headers": bearer("starter")}
    answers = [await api.http.post(f"{PATH}/campaigns", **asking) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["campaign_id"] for answer in answers}) == 1
    assert {answer.json()["idempotency_key"] for answer in answers} == {"monday"}
    assert len(await requested(api)) == 1
    other = {"filter": {"provider": "google"}, "idempotency_key": "monday"}
    assert (await api("POST", "/campaigns", json=other, status=409))["code"] == "idempotency_key_taken"


async def test_many_that_ask_at_once_by_one_key_get_one_campaign(api: Api) -> None:
    body = {"filter": {}, "idempotency_key": "monday"}
    answers = await asyncio.gather(
        *(api.http.post(f"{PATH}/campaigns", json=body, headers=bearer("starter")) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["campaign_id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("body", "headers", "because"),
    [
        ({}, {}, "say whom it is for"),
        ({"filter": {}, "grants": ["g1"]}, {}, "say whom it is for"),
        ({"filter": {"colour": "red"}}, {}, "body.filter.colour"),
        ({"filter": {"expired_since": "2026-03-01T00:00:00"}}, {}, "body.filter.expired_since"),
        ({"filter": {"provider": "a\0"}}, {}, "body.filter.provider"),
        ({"grants": ["a\0"]}, {}, "body.grants.0"),
        ({"filter": {}, "max_failures": "all"}, {}, "body.max_failures"),
        ({"filter": {}, "idempotency_key": "a"}, {"Idempotency-Key": "b"}, "header.Idempotency-Key"),
        ({"filter": {}}, {"Idempotency-Key": "k" * 129}, "header.Idempotency-Key"),
        ({"filter": {}}, {"Idempotency-Key": "a b"}, "header.Idempotency-Key"),
        ([], {}, "body"),
    ],
)
async def test_a_request_that_cannot_be_right_is_refused(
    api: Api, body: object, headers: dict[str, str], because: str
) -> None:
    answer = await api.http.post(f"{PATH}/campaigns", json=body, headers=bearer("starter") | headers)
    assert (answer.status_code, because in answer.json()["detail"]) == (422, True), answer.text
    assert await requested(api) == []


async def test_ten_thousand_names_are_taken_and_a_larger_body_is_not(api: Api) -> None:
    names = [f"{number:0>300}" for number in range(10_000)]
    await api("POST", "/campaigns", json={"grants": names}, status=201)
    await api("POST", "/campaigns", json={"grants": ["x" * 5_000_000]}, status=413)
    campaign_id = (await api("GET", "/campaigns"))["data"][0]["campaign_id"]
    assert (await api("GET", f"/campaigns/{campaign_id}"))["filter"] == {"grants": 10_000}
    await api("POST", f"/campaigns/{campaign_id}/pause", content=b"x" * 20_000, status=409)


async def test_campaigns_are_listed_the_newest_first_with_their_counts(api: Api) -> None:
    campaign = await failed(api)
    newer = a_campaign(api, CampaignStatus.RUNNING)
    await api.keep(newer)
    await api.keep(an_item(newer, "g1", due_at=datetime(2200, 1, 1, tzinfo=UTC)))  # else a sweep ends it
    first = await api("GET", "/campaigns", params={"limit": 1}, by="read")
    rest = await api("GET", "/campaigns", params={"cursor": first["next_cursor"]}, by="read")
    assert [row["campaign_id"] for row in first["data"] + rest["data"]] == [str(newer.id), str(campaign.id)]
    assert rest["data"][0]["outcomes"] == {"done": 1, "failed": 1, "skipped": 1}
    running = await api("GET", "/campaigns", params={"status": "running"})
    assert [row["campaign_id"] for row in running["data"]] == [str(newer.id)]


async def test_one_is_shown_with_its_progress_and_what_failed(api: Api) -> None:
    campaign = await failed(api)
    told = await api("GET", f"/campaigns/{campaign.id}", by="read")
    assert (told["progress"]["ended"], told["progress"]["left"], told["progress"]["seconds_left"]) == (3, 0, None)
    assert told["failures"] == [{"cause": "invalid_grant", "items": 1, "request_id": "req-2"}]


async def test_items_are_found_and_show_nothing_of_their_secrets(api: Api) -> None:
    campaign = await failed(api)
    path = f"/campaigns/{campaign.id}/items"
    every = (await api("GET", path, by="read"))["data"]
    assert [(item["grant_id"], item["email"], item["line"]) for item in every] == [
        ("g1", "g1@example.com", None),
        ("g2", "g2@example.com", None),
        (None, "a@example.com", 7),
    ]
    assert not any("secret" in item or "credential_id" in item for item in every)
    for query, found in (
        ({"outcome": "failed"}, ["g2"]),
        ({"cause": "invalid_grant"}, ["g2"]),
        ({"state": "closed"}, ["g1", "g2", None]),
        ({"state": "open"}, []),
    ):
        assert [item["grant_id"] for item in (await api("GET", path, params=query))["data"]] == found
    first = await api("GET", path, params={"limit": 2})
    rest = await api("GET", path, params={"limit": 2, "cursor": first["next_cursor"]})
    assert ([item["line"] for item in rest["data"]], rest["next_cursor"]) == ([7], None)


async def test_a_campaign_is_steered_from_where_that_makes_sense(api: Api) -> None:
    campaign = await failed(api)
    path = f"/campaigns/{campaign.id}"
    assert (await api("POST", f"{path}/pause", status=409))["code"] == "not_now"
    assert (await api("POST", f"{path}/retry", by="starter"))["status"] == "running"
    assert "nothing failed" in (await api("POST", f"{path}/retry", status=409))["detail"]
    paused = await api("POST", f"{path}/pause", by="starter")
    assert (paused["status"], paused["reason"]) == ("paused", "paused by token starter")
    assert (await api("POST", f"{path}/resume"))["status"] == "running"
    cancelled = await api("POST", f"{path}/cancel")
    assert (cancelled["status"], cancelled["outcomes"]) == ("cancelled", {"cancelled": 1, "done": 1, "skipped": 1})


async def test_nobody_does_or_reads_anything_without_a_token_that_is_good_for_it(api: Api) -> None:
    campaign = await failed(api)
    one = f"/campaigns/{campaign.id}"
    calls = [
        ("POST", "/campaigns"),
        ("GET", "/campaigns"),
        ("GET", one),
        ("GET", f"{one}/items"),
        ("GET", f"{one}/events"),
    ]
    calls += [("POST", f"{one}/{what}") for what in ("pause", "resume", "cancel", "retry")]
    for method, path in calls:
        await api(method, path, status=401, by=None)
        await api(method, path, status=403, by="grants")
        await api(method, path, status=403, by="starter" if method == "GET" else "read")


async def test_what_is_not_there_or_is_another_applications_is_unknown(api: Api) -> None:
    for path in (f"/campaigns/{NEVER}", f"/campaigns/{NEVER}/items", f"/campaigns/{NEVER}/events"):
        assert (await api("GET", path, status=404))["code"] == "unknown_campaign"
    await api("POST", f"/campaigns/{NEVER}/pause", status=404)
    await api("GET", "/campaigns/x", status=422)
