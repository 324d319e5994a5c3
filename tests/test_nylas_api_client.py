"""What the client asks of Nylas, call by call, over real sockets."""

import asyncio
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from nylas_api import Imap, NylasClient, NylasGrant, errors
from tests.wire import CODE, KEY, NOW, answer, grant, hang_up, nylas, page


class Ledger:
    """A budget that lets everything pass and writes down what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    async def take(self, group: str) -> None:
        self.told.append(group)

    async def pushed_back(self, group: str, wait: timedelta) -> None:
        self.told.append((group, wait))


async def test_a_grant_is_asked_for_with_the_key_and_its_id_cannot_leave_the_path() -> None:
    async with nylas(answer(200, {"request_id": "r1", "data": grant("a/../b")})) as (client, wire):
        told = await client.grants.get("a/../b?c@d")
    assert told.data == NylasGrant.model_validate(grant("a/../b"))
    assert (told.request_id, told.asked_at) == ("r1", NOW)
    assert told.data.email is None
    assert wire.heads[0].startswith("GET /v3/grants/a%2F..%2Fb%3Fc")
    assert f"authorization: bearer {KEY}".lower() in wire.heads[0].lower()
    assert "user-agent: evergrant/" in wire.heads[0].lower()


@pytest.mark.parametrize("senseless", ["", ".", "..", "x" * 400])
async def test_a_senseless_id_is_refused_before_anything_is_sent(senseless: str) -> None:
    async with nylas() as (client, wire):
        with pytest.raises(ValueError, match="grant id"):
            await client.grants.get(senseless)
    assert wire.heads == []


async def test_a_code_is_exchanged_with_the_key_as_secret_and_only_once() -> None:
    token = {"grant_id": "g1", "access_token": "t", "scope": "openid email", "expires_in": 3600}
    async with nylas(answer(200, token), hang_up, answer(200, token)) as (client, wire):
        told = await client.auth.exchange_code(code=CODE, redirect_uri="https://a/cb", code_verifier="v" * 43)
        with pytest.raises(errors.Unreachable) as caught:
            await client.auth.exchange_code(code=CODE, redirect_uri="https://a/cb")
    assert (told.data.grant_id, told.data.email, told.data.scope) == ("g1", None, ("openid", "email"))
    assert json.loads(wire.bodies[0]) == {
        "grant_type": "authorization_code", "client_id": "app", "client_secret": KEY,
        "code": CODE, "redirect_uri": "https://a/cb", "code_verifier": "v" * 43,
    }  # fmt: skip
    assert caught.value.outcome_unknown
    assert len(wire.heads) == 2


async def test_custom_auth_sends_the_settings_as_they_are() -> None:
    async with nylas(answer(201, {"data": grant()})) as (client, wire):
        imap = Imap(imap_username="é@example.com", imap_password="p\u2028w", imap_port=993)
        await client.auth.custom(provider="imap", settings=imap, scope=["x"], state="s")
        with pytest.raises(ValueError, match="google takes RefreshToken or BulkGrant, not Imap"):
            await client.auth.custom(provider="google", settings=imap)
    assert json.loads(wire.bodies[0]) == {
        "provider": "imap", "scope": ["x"], "state": "s",
        "settings": {"imap_username": "é@example.com", "imap_password": "p\u2028w", "imap_port": 993},
    }  # fmt: skip


async def test_only_a_limit_of_nylas_itself_slows_the_others_down() -> None:
    ours = answer(429, {"error": {"type": "nylas_rate_limit_exceeded"}}, "Retry-After: 7")
    silent = answer(429, {"error": {"type": "api.rate_limit_error"}})
    dated = answer(429, b"", "Retry-After: Tue, 24 Nov 2026 12:00:09 GMT")
    provider = answer(429, {"error": {"type": "rate_limit_error", "provider_error": {}}}, "Retry-After: 17")
    ledger = Ledger()
    async with nylas(ours, silent, dated, provider, budget=ledger) as (client, _):
        for _ in range(4):
            with pytest.raises(errors.RateLimited) as caught:
                await client.grants.get("g1")
    waits = [timedelta(seconds=seconds) for seconds in (7, 1, 9)]
    assert ledger.told == [
        "grants", ("grants", waits[0]), "grants", ("grants", waits[1]), "grants", ("grants", waits[2]), "grants",
    ]  # fmt: skip
    assert caught.value.provider_limit
    assert caught.value.retry_after == timedelta(seconds=17)


async def test_waiting_for_the_budget_does_not_cost_the_deadline_and_who_has_leave_goes_at_once() -> None:
    in_flight = asyncio.Semaphore(1)

    class Slow(Ledger):
        async def take(self, group: str) -> None:
            assert in_flight.locked()
            await asyncio.sleep(1.2)

    options = {"budget": Slow(), "in_flight": in_flight, "deadline": timedelta(seconds=1)}
    async with nylas(answer(200, {"data": grant()}), **options) as (client, _):
        await client.grants.get("g1")
    assert not in_flight.locked()


async def test_pages_are_walked_to_the_first_short_one_and_no_grant_comes_twice() -> None:
    broken = answer(200, {"data": [grant("d"), {"id": None}]})
    async with nylas(page("a", "b"), page("b", "c"), broken, page("e")) as (client, wire):
        pages = [
            [one.id for one in told.data] async for told in client.grants.each_page(limit=2, grant_status="invalid")
        ]
    assert pages == [["a", "b"], ["c"], ["d"], ["e"]]
    assert wire.queries("offset") == ["0", "2", "4", "6"]
    assert set(wire.queries("order_by") + wire.queries("grant_status")) == {"asc", "invalid"}


async def test_a_walk_that_remembers_nothing_may_meet_a_grant_twice() -> None:
    async with nylas(page("a", "b"), page("b", "c"), page("d")) as (client, _):
        pages = [[one.id for one in told.data] async for told in client.grants.each_page(limit=2, distinct=False)]
    assert pages == [["a", "b"], ["b", "c"], ["d"]]


async def test_a_page_size_that_nylas_lowered_does_not_end_the_list() -> None:
    replies = [page("a", "b", limit=2), page("c", limit=2)]
    async with nylas(*replies) as (client, wire):
        pages = [told.data async for told in client.grants.each_page(limit=100)]
    assert sum(pages, ())[-1].id == "c"
    assert wire.queries("offset") == ["0", "2"]


async def test_a_list_without_end_is_given_up() -> None:
    async with nylas(*[page("a")] * 4) as (client, wire):
        with pytest.raises(errors.Garbled, match="3 pages"):
            assert [told async for told in client.grants.each_page(limit=1, max_pages=3)]
    assert len(wire.heads) == 3


async def test_a_list_can_be_filtered_by_time_of_creation() -> None:
    async with nylas(page()) as (client, wire):
        assert (await client.grants.list(since=NOW, email="a+b@example.com")).data == ()
        with pytest.raises(ValueError, match="zone"):
            await client.grants.list(before=NOW.replace(tzinfo=None))
        with pytest.raises(ValueError, match="limit 201"):
            await client.grants.list(limit=201)
    assert wire.queries("since") == [str(int(NOW.timestamp()))]
    assert wire.queries("email") == ["a+b@example.com"]


async def test_the_sign_in_address_is_what_nylas_documents() -> None:
    async with nylas() as (client, _):
        url = urlsplit(
            client.auth.url(
                redirect_uri="https://a/cb", provider="google", scope=["x y", "z"], state="s&t", code_challenge="C"
            )
        )
        with pytest.raises(ValueError, match="256"):
            client.auth.url(redirect_uri="https://a/cb", state="s" * 257)
    assert url.path == "/v3/connect/auth"
    assert "scope=x%20y%20z" in url.query
    assert {name: values[0] for name, values in parse_qs(url.query).items()} == {
        "client_id": "app", "redirect_uri": "https://a/cb", "response_type": "code", "provider": "google",
        "scope": "x y z", "state": "s&t", "code_challenge": "C", "code_challenge_method": "S256",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["", "two words", "ключ", "line\nbreak"])
async def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str) -> None:
    async with httpx.AsyncClient() as http:
        with pytest.raises(ValueError, match="API key") as caught:
            NylasClient(api_uri="https://api.us.nylas.com", api_key=key, client_id="app", http=http)
    assert not key or key not in str(caught.value)
