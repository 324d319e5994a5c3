"""Who may call the API: a token that is good and has the scope, asked for before anything else is read."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import InvalidRequestError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import col

from ingress.api import PATH
from ingress.api.app import MOST_BYTES
from ingress.api.bearer import BELIEVED_FOR
from models import ApiToken
from models.database import AWAY, Database
from tests.api import Api, bearer, opened
from tests.front import installed, only_sqlite, without_database

__all__ = ["installed", "without_database"]
pytestmark = [pytest.mark.usefixtures("installed"), only_sqlite]

GRANT = "/grants/3f6a1c88"
LINK = "/links/0190f3a0-0000-7000-8000-000000000000"
CAMPAIGN = "/campaigns/0190f3a0-0000-7000-8000-000000000000"
CALLS = [
    ("GET", "/grants", "read"),
    ("GET", GRANT, "read"),
    ("GET", f"{GRANT}/timeline", "read"),
    ("GET", "/incidents", "read"),
    ("GET", "/notices", "read"),
    ("GET", "/events", "read"),
    ("PUT", GRANT, "grants"),
    ("POST", f"{GRANT}/reports", "grants"),
    ("POST", f"{GRANT}/links", "grants"),
    ("DELETE", LINK, "grants"),
    ("GET", "/campaigns", "read"),
    ("GET", CAMPAIGN, "read"),
    ("GET", f"{CAMPAIGN}/items", "read"),
    ("GET", f"{CAMPAIGN}/events", "read"),
    ("POST", "/campaigns", "campaigns"),
    ("POST", f"{CAMPAIGN}/pause", "campaigns"),
    ("POST", f"{CAMPAIGN}/resume", "campaigns"),
    ("POST", f"{CAMPAIGN}/cancel", "campaigns"),
    ("POST", f"{CAMPAIGN}/retry", "campaigns"),
]

REFUSED: list[tuple[list[tuple[str, str | bytes]], str]] = [
    ([], "no_token"),
    ([("Authorization", "Basic YWRtaW46YWRtaW4=")], "no_token"),
    ([("Authorization", "Bearer ")], "no_token"),
    ([("Authorization", "admin")], "no_token"),
    ([("Authorization", "Bearer admin"), ("Authorization", "Bearer admin")], "no_token"),
    ([("Authorization", "Bearer Admin")], "invalid_token"),
    ([("Authorization", "Bearer admin admin")], "invalid_token"),
    ([("Authorization", "Bearer " + "x" * 5000)], "invalid_token"),
    ([("Authorization", "Bearer \u00e4".encode())], "invalid_token"),
]


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Api]:
    """The API, open."""
    async with opened(database, valkey) as api:
        yield api


async def test_the_calls_tried_here_are_all_that_there_are(api: Api) -> None:
    described = await api("GET", "/openapi.json", by=None)
    named = {GRANT: "/grants/{grant_id}", LINK: "/links/{link_id}", CAMPAIGN: "/campaigns/{campaign_id}"}
    tried = set()
    for method, path, _ in CALLS:
        template = next((path.replace(one, name) for one, name in named.items() if path.startswith(one)), path)
        tried.add((method, template))
    assert {(m.upper(), path) for path, calls in described["paths"].items() for m in calls} == tried


async def test_without_a_token_that_is_good_nothing_is_answered(api: Api) -> None:
    for headers, code in REFUSED:
        for method, path, _ in [*CALLS, ("GET", "/nothing", "")]:
            answer = await api.http.request(method, PATH + path, headers=headers, content=b"no json")
            assert (answer.status_code, answer.json()["code"]) == (401, code), headers
            asked = answer.headers["www-authenticate"]
            assert asked.startswith('Bearer realm="evergrant"')
            assert ('error="invalid_token"' in asked) == (code == "invalid_token")
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_token_in_the_address_is_none(api: Api) -> None:
    answer = await api.http.get(f"{PATH}/grants", params={"access_token": "admin"})
    assert answer.status_code == 401


async def test_a_token_that_was_revoked_or_has_run_out_is_refused(api: Api) -> None:
    now = datetime.now(UTC)
    await api.keep(
        api.token("revoked", ["admin"], revoked_at=now),
        api.token("old", ["admin"], expires_at=now - timedelta(seconds=1)),
        api.token("young", ["admin"], expires_at=now + timedelta(minutes=5)),
    )
    for token, status in (("revoked", 401), ("old", 401), ("young", 200)):
        await api("GET", "/grants", by=token, status=status)


async def test_a_token_that_is_revoked_while_it_is_used_is_refused_within_a_second(api: Api) -> None:
    await api("GET", "/grants", by="read")
    async with api.database.writing() as session:
        await session.execute(update(ApiToken).values(revoked_at=datetime.now(UTC)))
    await asyncio.sleep(BELIEVED_FOR.total_seconds())
    await api("GET", "/grants", by="read", status=401)


async def test_a_token_may_do_what_its_scopes_name_and_an_admin_s_everything(api: Api) -> None:
    for method, path, needed in CALLS:
        for held in ("read", "grants"):
            answer = await api.http.request(method, PATH + path, headers=bearer(held))
            if held == needed:
                assert answer.status_code not in (401, 403), (method, path)
                continue
            assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), (method, path)
            assert f'error="insufficient_scope", scope="{needed}"' in answer.headers["www-authenticate"]
        answer = await api.http.request(method, PATH + path, headers=bearer("admin"))
        assert answer.status_code not in (401, 403), (method, path)


async def test_the_description_of_the_api_is_open_and_says_what_it_needs(api: Api) -> None:
    described = await api("GET", "/openapi.json", by=None)
    assert described["servers"] == [{"url": PATH}]
    for calls in described["paths"].values():
        for call in calls.values():
            assert call["security"] == [{"HTTPBearer": []}]
            assert {"401", "403", "422", "503"} <= call["responses"].keys()
            assert list(call["responses"]["422"]["content"]) == ["application/problem+json"]


async def test_when_a_token_was_used_last_is_written_down_once_a_minute(api: Api) -> None:
    async def used() -> datetime | None:
        async with api.database.reading() as session:
            return (await session.scalars(select(ApiToken).where(col(ApiToken.name) == "read"))).one().last_used_at

    assert await used() is None
    await api("GET", "/grants", by="read")
    first = await used()
    assert first is not None
    await api("GET", "/grants", by="read")
    assert await used() == first


async def test_what_is_long_is_refused_before_it_is_kept(api: Api) -> None:
    long = b'{"status": 401, "detail": "' + b"x" * MOST_BYTES + b'"}'
    assert (await api("POST", f"{GRANT}/reports", content=long, status=413))["code"] == "too_large"


async def test_what_is_not_there_is_a_problem_like_any_other(api: Api) -> None:
    assert (await api("GET", "/nothing", status=404))["code"] == "not_found"
    assert (await api("GET", "/grants/", status=404))["code"] == "not_found"
    assert (await api("DELETE", "/grants", status=405))["code"] == "method_not_allowed"


async def test_a_database_that_is_away_is_503_and_says_to_come_again(api: Api) -> None:
    async with api.database.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE api_token RENAME TO gone")
    answer = await api.http.get(f"{PATH}/grants", headers=bearer("read"))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert "api_token" not in answer.text


def test_a_mistake_of_ours_with_the_database_is_not_told_as_its_absence() -> None:
    kinds = (OperationalError, ConnectionRefusedError, StaleDataError, InvalidRequestError)
    assert [issubclass(kind, AWAY) for kind in kinds] == [True, True, False, False]
