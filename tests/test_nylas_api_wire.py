"""What the real client makes of whatever comes over a real socket, on Nylas' good and bad days."""

import asyncio
import gzip
import json
import socket
import time
from datetime import timedelta

import httpx
import pytest

from nylas_api import NylasClient, errors, open_http
from tests.wire import CODE, KEY, Reply, answer, drip, grant, hang, hang_up, nylas, reset, reset_mid_answer


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(500, b"<html>"), errors.Unavailable),
        (answer(502, b""), errors.Unavailable),
        (answer(307, b"", "Location: https://elsewhere.example.com/"), errors.Unavailable),
        (answer(403, b"<html>"), errors.Unavailable),
        (answer(401, {"error": {"type": "x", "message": KEY}}), errors.KeyRejected),
        (answer(404, {"error": {"type": "grant.not_found"}}), errors.GrantNotFound),
        (answer(422, {"error": "no"}), errors.Rejected),
        (answer(423, {"error": {"type": "api.resource_blocked"}}), errors.Blocked),
        (answer(200, b"<html>"), errors.Garbled),
        (answer(200, b"not gzip", "Content-Encoding: gzip"), errors.Garbled),
        (answer(200, b"what", "Content-Encoding: br, gzip, gzip"), errors.Garbled),
        (answer(200, gzip.compress(b" " * 100_000_000), "Content-Encoding: gzip"), errors.Garbled),
        (answer(200, b" " * 5_000_000), errors.Garbled),
        (answer(500, b" " * 5_000_000), errors.Unavailable),
        (hang_up, errors.Unreachable),
        (reset, errors.Unreachable),
        (reset_mid_answer, errors.Unreachable),
        (b"HTTP/1.1 200 \xff\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", errors.Unreachable),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", errors.Unreachable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", errors.Unreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", errors.Unreachable),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", errors.Unreachable),
    ],
)
async def test_whatever_comes_over_the_wire_ends_in_one_of_our_errors(
    reply: Reply, kind: type[errors.NylasError]
) -> None:
    async with nylas(reply, reply) as (client, _):
        with pytest.raises(errors.NylasError) as caught:
            await client.grants.get("g1")
    assert type(caught.value) is kind, repr(caught.value)
    assert KEY not in str(caught.value)
    if kind in (errors.Unreachable, errors.Garbled):
        assert caught.value.outcome_unknown


async def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(json.dumps({"data": grant()}).encode())
    async with nylas(answer(200, body, "Content-Encoding: gzip")) as (client, _):
        assert (await client.grants.get("g1")).data.id == "g1"


@pytest.mark.parametrize("reply", [hang, drip])
async def test_the_deadline_bounds_the_whole_call_however_slowly_bytes_come(reply: Reply) -> None:
    async with nylas(reply, deadline=timedelta(seconds=0.3)) as (client, _):
        start = time.monotonic()
        with pytest.raises(errors.Unreachable, match=r"within 0\.3 s") as caught:
            await client.grants.get("g1")
    assert 0.2 < time.monotonic() - start < 4
    assert caught.value.outcome_unknown


async def test_of_what_was_to_be_changed_it_is_told_that_nylas_may_be_at_work_on_it_yet() -> None:
    async with nylas(hang, hang, hang_up, deadline=timedelta(seconds=0.3)) as (client, _):
        with pytest.raises(errors.Unreachable) as late:
            await client.grants.delete("g1")
        with pytest.raises(errors.Unreachable) as only_read:
            await client.grants.get("g1")
        with pytest.raises(errors.Unreachable) as broken:
            await client.grants.delete("g1")

    assert (late.value.outcome_unknown, late.value.under_way) == (True, True)
    assert (only_read.value.outcome_unknown, only_read.value.under_way) == (True, False)
    assert (broken.value.outcome_unknown, broken.value.under_way) == (True, False)


@pytest.mark.parametrize("over_httpcore", [False, True])
async def test_a_refused_connection_leaves_no_doubt_that_nothing_happened(over_httpcore: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with httpx.AsyncHTTPTransport() if over_httpcore else open_http(connections=1) as http:
            client = NylasClient(api_uri=uri, api_key=KEY, client_id="app", http=http)
            with pytest.raises(errors.Unreachable) as caught:
                await client.auth.exchange_code(code=CODE, redirect_uri="https://a/cb")
    assert not caught.value.outcome_unknown
    assert "could not be reached" in str(caught.value)


async def test_a_call_cancelled_from_outside_is_cancelled() -> None:
    arrived = asyncio.Event()

    async def arrive_and_hang(writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await hang(writer)

    async with nylas(arrive_and_hang) as (client, _):
        call = asyncio.create_task(client.grants.get("g1"))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
