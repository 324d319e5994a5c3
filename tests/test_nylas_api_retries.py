"""When the client asks again by itself: only where that is safe, within one deadline, and never in a storm."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog

from nylas_api import GoogleApp, NewRedirectUri, NewWebhook, NylasClient, RefreshToken, VirtualCalendar, errors
from tests.wire import CODE, Reply, answer, grant, hang, hang_up, nylas, page, reset_mid_answer

Call = Callable[[NylasClient], Awaitable[object]]

ONE = answer(200, {"data": grant()})
BUSY = answer(503, {"error": {"type": "api.internal_error", "message": "Later."}})
GATEWAY = answer(504, b"<html><title>504 Gateway Time-out</title></html>")
LIMIT = answer(429, {"error": {"type": "nylas_rate_limit_exceeded"}}, "Retry-After: 0.1")
PROVIDERS_LIMIT = answer(429, {"error": {"type": "rate_limit_error", "provider_error": {}}}, "Retry-After: 0.1")
DATED = answer(503, b"", "Retry-After: Tue, 24 Nov 2026 12:00:01 GMT")


def get(client: NylasClient) -> Awaitable[Any]:
    return client.grants.get("g1")


def custom(client: NylasClient) -> Awaitable[object]:
    return client.auth.custom(provider="virtual-calendar", settings=VirtualCalendar(email="a"))


def exchange(client: NylasClient) -> Awaitable[object]:
    return client.auth.exchange_code(code=CODE, redirect_uri="https://a/cb")


ONLY_ONCE_WHEN_IN_DOUBT: list[Call] = [
    exchange,
    lambda client: client.auth.refresh_access_token(refresh_token="r"),
    lambda client: client.connectors.create("google", settings=GoogleApp(client_id="c", client_secret="s")),
    lambda client: client.redirect_uris.create(NewRedirectUri(url="https://a/cb")),
    lambda client: client.webhooks.create(NewWebhook(webhook_url="https://a/w", trigger_types=("grant.expired",))),
    lambda client: client.webhooks.rotate_secret("w"),
    lambda client: client.webhooks.send_test_event("grant.expired", webhook_url="https://a/w"),
]


@pytest.mark.parametrize("failure", [BUSY, LIMIT, hang_up, reset_mid_answer, answer(200, b"<html>")])
@pytest.mark.parametrize(
    "call",
    [
        get,
        custom,
        lambda client: client.grants.delete("g1"),
        lambda client: client.grants.update("g1", settings=RefreshToken(refresh_token="r")),
    ],
)
async def test_what_is_the_same_done_twice_is_asked_again(call: Call, failure: Reply) -> None:
    async with nylas(failure, ONE, attempts=3) as (client, wire):
        await call(client)
    assert len(wire.heads) == 2
    assert wire.bodies[0] == wire.bodies[1]


@pytest.mark.parametrize("call", [custom, lambda client: client.grants.delete("g1")])
async def test_what_a_proxy_has_given_up_is_not_asked_again_while_nylas_may_be_at_work_on_it(call: Call) -> None:
    async with nylas(GATEWAY, ONE, attempts=3) as (client, wire):
        with pytest.raises(errors.Unavailable) as caught:
            await call(client)
    assert (caught.value.outcome_unknown, caught.value.under_way, len(wire.heads)) == (True, True, 1)


async def test_what_is_only_read_is_asked_again_when_a_proxy_has_given_up() -> None:
    async with nylas(GATEWAY, ONE, attempts=3) as (client, _):
        assert (await get(client)).data.id == "g1"


@pytest.mark.parametrize("failure", [BUSY, hang_up, reset_mid_answer, answer(200, b"<html>")])
@pytest.mark.parametrize("call", ONLY_ONCE_WHEN_IN_DOUBT)
async def test_what_may_have_had_its_effect_is_not_asked_again(call: Call, failure: Reply) -> None:
    async with nylas(failure, ONE, attempts=3) as (client, wire):
        with pytest.raises(errors.Transient) as caught:
            await call(client)
    assert caught.value.outcome_unknown
    assert len(wire.heads) == 1


@pytest.mark.parametrize("call", ONLY_ONCE_WHEN_IN_DOUBT[1:])
async def test_what_surely_had_no_effect_is_asked_again(call: Call) -> None:
    told = answer(200, {"data": {"id": "w", "provider": "google", "url": "u"}, "grant_id": "g"})
    async with nylas(LIMIT, told, attempts=3) as (client, wire):
        await call(client)
    assert len(wire.heads) == 2


async def test_a_code_goes_out_once_whatever_happens() -> None:
    async with nylas(LIMIT, ONE, attempts=3) as (client, wire):
        with pytest.raises(errors.RateLimited):
            await exchange(client)
    assert len(wire.heads) == 1


async def test_what_can_not_help_is_not_asked_again() -> None:
    no = answer(400, {"error": {"type": "bad_request"}})
    async with nylas(no, PROVIDERS_LIMIT, attempts=3) as (client, wire):
        with pytest.raises(errors.Rejected):
            await custom(client)
        with pytest.raises(errors.RateLimited):
            await custom(client)
    assert len(wire.heads) == 2


async def test_it_gives_up_after_so_many_attempts() -> None:
    async with nylas(BUSY, reset_mid_answer, BUSY, ONE, attempts=3) as (client, wire):
        with pytest.raises(errors.Unavailable):
            await get(client)
    assert len(wire.heads) == 3


@pytest.mark.parametrize("told", [LIMIT, DATED])
async def test_it_waits_as_long_as_nylas_says(told: bytes) -> None:
    arrived: list[float] = []

    async def note(writer: asyncio.StreamWriter) -> None:
        arrived.append(time.monotonic())
        writer.write(told if len(arrived) == 1 else ONE)

    async with nylas(note, note, attempts=2) as (client, _):
        await get(client)
    assert arrived[1] - arrived[0] >= (1 if told is DATED else 0.1)


async def test_a_wait_longer_than_the_deadline_is_left_to_the_caller() -> None:
    long = answer(503, b"", "Retry-After: 60")
    async with nylas(long, ONE, attempts=3, deadline=timedelta(seconds=2)) as (client, wire):
        with pytest.raises(errors.Unavailable) as caught:
            await get(client)
    assert caught.value.retry_after == timedelta(seconds=60)
    assert len(wire.heads) == 1


async def test_all_attempts_share_one_deadline() -> None:
    slow: Reply = hang
    async with nylas(BUSY, slow, ONE, attempts=9, deadline=timedelta(seconds=0.6)) as (client, wire):
        with pytest.raises(errors.Unreachable) as caught:
            await get(client)
    assert caught.value.outcome_unknown
    assert len(wire.heads) == 2


async def test_where_everything_fails_retries_become_few() -> None:
    calls = 40
    async with nylas(*[BUSY] * 200, attempts=3, deadline=timedelta(seconds=9)) as (client, wire):
        told = await asyncio.gather(*(get(client) for _ in range(calls)), return_exceptions=True)
    assert all(isinstance(error, errors.Unavailable) for error in told)
    assert calls < len(wire.heads) <= calls + 10 + calls // 10


async def test_each_attempt_asks_the_budget_for_leave() -> None:
    taken: list[str] = []

    class Budget:
        async def take(self, group: str) -> None:
            taken.append(group)

        async def pushed_back(self, group: str, wait: timedelta) -> None:
            taken.append(f"{group} pushed back {wait.total_seconds():g} s")

    async with nylas(LIMIT, ONE, attempts=3, budget=Budget()) as (client, _):
        await get(client)
    assert taken == ["grants", "grants pushed back 0.1 s", "grants"]


async def test_a_retry_is_logged_without_what_was_sent() -> None:
    secret = RefreshToken(refresh_token="SECRET-OF-A-MAILBOX")
    with structlog.testing.capture_logs() as lines:
        async with nylas(BUSY, ONE, attempts=2) as (client, _):
            await client.auth.custom(provider="google", settings=secret)
    assert [line["event"] for line in lines] == ["stamina.retry_scheduled"]
    assert "SECRET" not in str(lines)


async def test_a_page_that_fails_once_does_not_end_the_list() -> None:
    async with nylas(page("a", "b"), BUSY, page("c"), attempts=2) as (client, _):
        assert [[one.id for one in told.data] async for told in client.grants.each_page(limit=2)] == [["a", "b"], ["c"]]
