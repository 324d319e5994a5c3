"""The API's grants: found, shown, told where their users are reached, and never more than was asked for."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lifecycle import GrantStatus
from models import Application
from models.columns import new_id
from models.database import Database
from tests.api import NOW, Api, opened
from tests.front import inbox, installed, only_sqlite, without_database

__all__ = ["installed", "without_database"]
pytestmark = pytest.mark.usefixtures("installed")

KEPT = ["a1", "b2", "c3", "d4", "e5"]
FOUND: list[tuple[dict[str, str], list[str]]] = [
    ({}, KEPT),
    ({"status": "expired"}, ["b2", "c3"]),
    ({"status": "expired", "provider": "google"}, ["c3"]),
    ({"email": "ADA@example.COM"}, ["b2"]),
    ({"email": "ada"}, []),
    ({"provider": "zoom"}, []),
    ({"email": "%"}, []),
]
WRONG: list[tuple[str, dict[str, str], str]] = [
    ("/grants", {"limit": "0"}, "query.limit"),
    ("/grants", {"limit": "201"}, "query.limit"),
    ("/grants", {"limit": "many"}, "query.limit"),
    ("/grants", {"status": "dead"}, "query.status"),
    ("/grants", {"Status": "valid"}, "query.Status"),
    ("/grants", {"email": "a\x00b"}, "query.email"),
    ("/grants", {"provider": "x" * 321}, "query.provider"),
    ("/grants", {"cursor": "!"}, "query.cursor"),
    ("/grants", {"cursor": "gICA"}, "query.cursor"),
    ("/grants", {"cursor": "AAAA"}, "query.cursor"),
    ("/events", {"cursor": "YTE"}, "query.cursor"),
    ("/events", {"outcome": "lost"}, "query.outcome"),
    ("/notices", {"kind": "grant.lost"}, "query.kind"),
    ("/incidents", {"state": "half"}, "query.state"),
    ("/grants/%00", {}, "path.grant_id"),
    ("/grants/" + "x" * 129, {}, "path.grant_id"),
]
NOBODY: list[tuple[Any, str]] = [
    ({"contact": "nobody", "zone": None}, "body.contact: Value error, must be an email address"),
    ({"contact": "a @example.com", "zone": None}, "body.contact"),
    ({"contact": "A1@EXAMPLE.com", "zone": None}, "body.contact: must not be the mailbox itself"),
    ({"contact": "a\u0000@example.com", "zone": None}, "body.contact"),
    ({"contact": 1, "zone": None}, "body.contact"),
    ({"contact": None, "zone": "Mars/Olympus"}, "body.zone: Value error, must be an IANA time zone"),
    ({"contact": None, "zone": "../../etc/passwd"}, "body.zone"),
    ({"contact": None, "zone": "Europe"}, "body.zone"),
    ({"contact": None}, "body.zone: Field required"),
    ({"contact": None, "zone": None, "status": "valid"}, "body.status"),
    ([], "body"),
    (None, "body"),
]


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Api]:
    """The API, open, with five grants: two of them valid Google ones."""
    async with opened(database, valkey) as api:
        await api.keep(
            api.grant("a1"),
            api.grant("b2", status=GrantStatus.EXPIRED, provider="microsoft", expired_at=NOW, email="Ada@Example.com"),
            api.grant("c3", status=GrantStatus.EXPIRED, expired_at=NOW),
            api.grant("d4", status=GrantStatus.DELETED, email=None),
            api.grant("e5"),
        )
        yield api


@pytest.fixture
async def stranger(api: Api) -> str:
    """A grant that another application holds in the same database."""
    other = Application(
        id=new_id(), client_id="another", api_uri="https://x", api_key="eg1.x", created_at=NOW, updated_at=NOW
    )
    await api.keep(other)
    await api.keep(api.grant("z9", application_id=other.id))
    return "z9"


def ids(answer: dict[str, Any]) -> list[str]:
    """The ids in a page of grants."""
    return [grant["grant_id"] for grant in answer["data"]]


async def test_grants_are_found_by_what_is_asked_for(api: Api, stranger: str) -> None:
    for query, found in FOUND:
        answer = await api("GET", "/grants", params=query, by="read")
        assert (ids(answer), answer["next_cursor"]) == (found, None), query


async def test_pages_follow_each_other_until_all_was_told_once(api: Api) -> None:
    for limit in (1, 2, 4, 5, 6):
        found, query = [], {"limit": str(limit)}
        for _ in KEPT:
            answer = await api("GET", "/grants", params=query)
            assert len(answer["data"]) <= limit
            found += ids(answer)
            query["cursor"] = answer["next_cursor"]
            if query["cursor"] is None:
                break
        assert (found, query["cursor"]) == (KEPT, None)


async def test_a_grant_is_shown_with_its_clock(api: Api) -> None:
    shown = await api("GET", "/grants/b2", by="read")
    assert shown["email"] == "Ada@Example.com"
    assert (shown["status"], shown["expired_at"]) == ("expired", "2026-03-01T12:00:00Z")
    assert shown["backfill_until"] == "2026-03-04T12:00:00Z"


async def test_another_application_s_grant_is_unknown(api: Api, stranger: str) -> None:
    for method, path, body in (
        ("GET", "/grants/z9", None),
        ("GET", "/grants/z9/timeline", None),
        ("PUT", "/grants/z9", {"contact": None, "zone": None}),
        ("POST", "/grants/z9/reports", {"status": 401}),
        ("POST", "/grants/z9/links", None),
        ("GET", "/grants/no-such-grant", None),
    ):
        assert (await api(method, path, json=body, status=404))["code"] == "unknown_grant"


@only_sqlite
async def test_what_can_t_be_right_is_said_to_be_wrong_and_where(api: Api) -> None:
    for path, query, where in WRONG:
        problem = await api("GET", path, params=query, status=422)
        assert where in problem["detail"], (path, query)


async def test_where_its_user_is_told_is_replaced_and_its_story_says_who_did_so(api: Api) -> None:
    told = {"contact": "ada@elsewhere.example", "zone": "Europe/Berlin"}
    first = await api("PUT", "/grants/a1", json=told, by="grants")
    assert {name: first[name] for name in told} == told
    again = await api("PUT", "/grants/a1", json=told)
    taken_away = await api("PUT", "/grants/a1", json={"contact": None, "zone": "Europe/Berlin"})
    assert first == again
    assert (taken_away["contact"], taken_away["zone"]) == (None, "Europe/Berlin")
    lines = (await api("GET", "/grants/a1/timeline"))["data"]
    assert [(line["kind"], line["actor"], line["what"]) for line in lines] == [
        ("edit", "the product", "its contact and zone changed, by token grants"),
        ("edit", "the product", "its contact changed, by token admin"),
    ]
    assert all(b"ada" not in event.raw for event in await inbox(api.database))


@only_sqlite
async def test_where_nobody_can_be_told_is_refused(api: Api) -> None:
    for body, said in NOBODY:
        assert said in (await api("PUT", "/grants/a1", json=body, status=422))["detail"], body


@only_sqlite
async def test_of_what_was_sent_nothing_comes_back_in_a_problem(api: Api) -> None:
    problem = await api("PUT", "/grants/a1", json={"contact": "hush", "zone": "hush", "hush": "hush"}, status=422)
    assert "hush" not in str(problem).replace("body.hush", "")


async def test_nothing_is_done_about_a_grant_that_was_deleted(api: Api) -> None:
    for method, path, body in (
        ("PUT", "/grants/d4", {"contact": None, "zone": None}),
        ("POST", "/grants/d4/reports", {"status": 401}),
        ("POST", "/grants/d4/links", None),
    ):
        assert (await api(method, path, json=body, status=409))["code"] == "grant_deleted"
    assert await inbox(api.database) == []
