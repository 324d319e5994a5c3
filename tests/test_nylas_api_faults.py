"""Every operation under every fault of a real socket: one of our errors comes out, and the next call works."""

import asyncio
import gzip
import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import product

import pytest

from nylas_api import Answer, NylasClient, errors, open_http
from tests import nylas_says as says
from tests.nylas_says import enveloped
from tests.operations import OPERATIONS, Operation
from tests.stories import until
from tests.wire import KEY, Reply, Wire, answer, drip, hang, hang_up, nylas, reset, reset_mid_answer

OK = b"HTTP/1.1 200 OK\r\n"
TYPED = "api.some_error"
GENERAL = {"request_id": "req-1", "error": {"type": TYPED, "message": "No.", "provider_error": {"error": "x", "n": 7}}}
OAUTH = {
    "error": "server_error",
    "error_description": "No.",
    "error_code": 100241,
    "error_uri": "https://e.example.com",
}
SHAPES: dict[str, tuple[bytes, str | None]] = {
    "general": (json.dumps(GENERAL).encode(), TYPED),
    "oauth": (json.dumps(OAUTH).encode(), "server_error"),
    "flat": (json.dumps({"message": "No.", "type": "invalid_request_error"}).encode(), "invalid_request_error"),
    "text": (b'{"error": "no luck"}', "no luck"),
    "empty": (b"", None),
    "html": (b"<!doctype html><title>502 Bad Gateway</title>", None),
    "cut": (b'{"request_id": "req-2", "error": {"type": "api.so', None),
    "deep": (b'{"error":' * 50_000, None),
    "numbers": (b'{"error": {"type": 7, "message": 1e999, "provider_error": [[[-0.5]]]}}', "7"),
    "bytes": (b"\xff\xfe\x00\x1b[2J", None),
}
JSON_SHAPES = {"general", "oauth", "flat", "text", "numbers"}
SHAPED_STATUSES = (400, 403, 404, 503)
STATUSES = (
    300,
    302,
    308,
    *range(400, 406),
    *range(408, 411),
    413,
    418,
    *range(422, 426),
    429,
    451,
    *range(500, 505),
    599,
    999,
)
MOST_BYTES = 200_000
BOMB = gzip.compress(b" " * 30_000_000)
WHOLE = gzip.compress(json.dumps(enveloped(says.GRANT)).encode())


async def half_close_at_once(writer: asyncio.StreamWriter) -> None:
    writer.write_eof()
    await hang(writer)


async def half_close_mid_answer(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b'Content-Length: 1000\r\n\r\n{"data":')
    await half_close_at_once(writer)


async def never_stop_hinting(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


def then_hang_up(raw: bytes) -> Reply:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    return reply


GARBLED: dict[str, Reply] = {
    "html": answer(200, b"<html>"),
    "empty": answer(200, b""),
    "null": answer(200, b"null"),
    "list": answer(200, b"[]"),
    "a text": answer(200, b'"success"'),
    "cut": answer(201, b'{"request_id": "r", "data": {"id"'),
    "deep": answer(200, b"[" * 100_000),
    "deep data": answer(200, b'{"data":' * 50_000),
    "long number": answer(200, b'{"data": ' + b"9" * 5000 + b"}"),
    "not utf-8": answer(200, b'{"data": "\xff\xfe"}'),
    "no gzip": answer(200, b"{}", "Content-Encoding: gzip"),
    "half a gzip": answer(200, WHOLE[: len(WHOLE) // 2], "Content-Encoding: gzip"),
    "bad gzip": answer(200, WHOLE[:12] + b"\xff" * 20 + WHOLE[32:], "Content-Encoding: gzip"),
    "bomb": answer(200, BOMB, "Content-Encoding: gzip"),
    "unknown encoding": answer(200, b"\x0b\x02\x80{}\x03", "Content-Encoding: br"),
    "too much": answer(200, b'{"data": "' + b"x" * 250_000 + b'"}'),
    "no length, cut": then_hang_up(OK + b'\r\n{"data": {"id": "g'),
}
BROKEN: dict[str, Reply] = {
    "hung up": hang_up,
    "reset": reset,
    "reset mid answer": reset_mid_answer,
    "half-closed": half_close_at_once,
    "half-closed mid answer": half_close_mid_answer,
    "length too short": then_hang_up(OK + b'Content-Length: 9\r\n\r\n{"data": {"id": "g1"}}'),
    "length too long": then_hang_up(OK + b"Content-Length: 99\r\n\r\n{}"),
    "length below zero": then_hang_up(OK + b"Content-Length: -2\r\n\r\n{}"),
    "two lengths": then_hang_up(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "no such chunk": then_hang_up(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "half a chunk": then_hang_up(OK + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{}"),
    "no last chunk": then_hang_up(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "huge chunk size": then_hang_up(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 400 + b"\r\n{}"),
    "huge header": then_hang_up(OK + b"X: " + b"y" * 200_000 + b"\r\nContent-Length: 2\r\n\r\n{}"),
    "a header of NULs": then_hang_up(OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}"),
    "a header without a name": then_hang_up(OK + b": x\r\nno colon\r\nContent-Length: 2\r\n\r\n{}"),
    "a reason of bytes": then_hang_up(b"HTTP/1.1 200 \xff\xfe\r\nContent-Length: 2\r\n\r\n{}"),
    "no status": then_hang_up(b"HTTP/1.1 OK\r\n\r\n"),
    "another protocol": then_hang_up(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a TLS alert": then_hang_up(b"\x15\x03\x01\x00\x02\x02\x46"),
    "HTTP/2": then_hang_up(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"),
    "hints and no answer": then_hang_up(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "only line ends": then_hang_up(b"\r\n\r\n\r\n"),
}


async def ask_all(wire: Wire, reply: Reply, operations: Sequence[Operation] = OPERATIONS) -> list[object]:
    """Call every operation at once, each by a client of its own, against one and the same reply."""
    wire.replies[:] = [reply] * (4 * len(operations))  # some ask the canary, and some are sent again by the pool
    calls = [operation.call(wire.new_client()) for operation in operations]
    return await asyncio.gather(*calls, return_exceptions=True)


def expected(operation: Operation, status: int, shape: str) -> type[errors.NylasError]:
    type_, by_nylas = SHAPES[shape][1], shape in JSON_SHAPES
    match status:
        case 400 if operation.name == "auth.exchange_code":
            return errors.CodeRejected
        case 401:
            return errors.KeyRejected if operation.bearer == KEY else errors.Unauthorized
        case 403:
            return errors.Forbidden if by_nylas else errors.Unavailable
        case 404 if operation.about_a_grant:
            return errors.GrantNotFound if type_ else errors.Unavailable
        case 404:
            return errors.NotFound if type_ else errors.Rejected
        case 423:
            return errors.Blocked
        case 429:
            return errors.RateLimited
        case 408 | 425:
            return errors.Unavailable
        case _:
            return errors.Rejected if 400 <= status < 500 else errors.Unavailable


def check(told: object, operation: Operation, kind: type[errors.NylasError], case: object) -> None:
    assert type(told) is kind, (case, operation.name, told)
    texts = [str(told), told.type, told.request_id, told.provider_error]
    assert all(text is None or (text.isprintable() and 0 < len(text) <= errors.LONGEST) for text in texts)
    assert not any(secret in repr(told) for secret in (KEY, "SECRET"))


@pytest.mark.parametrize(
    "cases",
    [list(product(SHAPED_STATUSES, SHAPES)), [(status, "general") for status in STATUSES]],
    ids=["every shape", "every status"],
)
async def test_every_refusal_is_the_error_it_means_with_status_type_and_request_id(
    cases: list[tuple[int, str]],
) -> None:
    async with nylas() as (_, wire):
        for status, shape in cases:
            body, type_ = SHAPES[shape]
            reply = answer(status, body, "X-Request-Id: req-1", "Location: https://elsewhere.example.com/")
            for operation, told in zip(OPERATIONS, await ask_all(wire, reply), strict=True):
                check(told, operation, expected(operation, status, shape), (status, shape))
                assert (told.status, told.request_id) == (status, "req-1"), (shape, operation.name)
                assert told.type == type_
                assert told.outcome_unknown is (not 400 <= status < 500)
        assert not any("elsewhere" in head.lower() for head in wire.heads)


async def test_a_success_that_is_none_is_garbled_and_an_exchange_cut_short_unreachable() -> None:
    assert len(BOMB) < MOST_BYTES
    async with nylas(max_bytes=MOST_BYTES) as (_, wire):
        for faults, kind in ((GARBLED, errors.Garbled), (BROKEN, errors.Unreachable)):
            for name, reply in faults.items():
                for operation, told in zip(OPERATIONS, await ask_all(wire, reply), strict=True):
                    check(told, operation, kind, name)
                    assert told.outcome_unknown, name
                wire.replies[:] = [answer(200, enveloped(says.GRANT))]
                assert (await wire.new_client().grants.get("g1")).data.provider == "google", name


@pytest.mark.parametrize("reply", [hang, drip, never_stop_hinting])
async def test_no_operation_waits_past_its_deadline(reply: Reply) -> None:
    """Half of it is for the connection: a pause of Python's collector, or of the machine, must not be as long."""
    async with nylas(deadline=timedelta(seconds=2)) as (_, wire):
        for some in (OPERATIONS[:19], OPERATIONS[19:]):  # one connection for each
            told = await asyncio.wait_for(ask_all(wire, reply, some), 30)
            for operation, error in zip(some, told, strict=True):
                check(error, operation, errors.Unreachable, reply.__name__)
                assert error.outcome_unknown


async def test_a_call_that_got_no_connection_is_known_to_have_had_no_effect() -> None:
    async with nylas(*[hang] * 20) as (_, wire):
        first = [asyncio.create_task(operation.call(wire.new_client())) for operation in OPERATIONS[:20]]
        await until(lambda: len(wire.heads) == 20)  # as many as there are connections
        sooner = timedelta(seconds=3)  # half of it is for the wait: a pause of Python's collector must not be as long
        calls = [operation.call(wire.new_client(deadline=sooner)) for operation in OPERATIONS[20:]]
        waited = await asyncio.gather(*calls, return_exceptions=True)
        for call in first:
            call.cancel()
        await asyncio.gather(*first, return_exceptions=True)
    assert len(waited) == len(OPERATIONS) - 20
    assert not any(error.outcome_unknown for error in waited)
    assert {str(error) for error in waited} == {"Nylas could not be reached: TimeoutError"}


async def test_provisional_answers_and_odd_framing_are_no_hindrance() -> None:
    noise = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    odd = b"HTTP/1.1 299 \r\nX-Odd: caf\xe9 \xff\r\nServer: \xf0\x9f\x92\xa9\r\n"
    async with nylas() as (_, wire):
        for operation in OPERATIONS:
            raw = json.dumps(operation.answer).encode()
            chunks = b"".join(b"1;ext=1\r\n%c\r\n" % byte for byte in raw)
            replies = [
                noise + answer(operation.status, operation.answer),
                odd + f"Content-Length: {len(raw)}\r\n\r\n".encode() + raw,
                OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Trailer: 1\r\n\r\n",
                answer(200, gzip.compress(raw), "Content-Encoding: GZIP", "Connection: close"),
                then_hang_up(b"HTTP/1.0 200 OK\r\n\r\n" + raw),
            ]
            wire.replies[:] = replies
            client = wire.new_client()
            told = [await operation.call(client) for _ in replies]
            assert all(isinstance(one, Answer) and one.data == told[0].data for one in told)
            assert wire.replies == []


async def test_a_protocol_that_nobody_asked_for_is_not_switched_to() -> None:
    reply = then_hang_up(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x00"
    )
    async with nylas() as (_, wire):
        for operation, told in zip(OPERATIONS, await ask_all(wire, reply), strict=True):
            check(told, operation, errors.Unavailable, "101")
            assert (told.status, told.outcome_unknown) == (101, True)


async def test_headers_that_are_no_text_are_made_one() -> None:
    head = b"HTTP/1.1 500 x\r\nX-Request-Id: caf\xe9\xff " + b"y" * 3000 + b"\r\nRetry-After: \xff\r\n"
    async with nylas() as (_, wire):
        reply = head + b"Content-Length: 2\r\n\r\n{}"
        for operation, told in zip(OPERATIONS, await ask_all(wire, reply), strict=True):
            check(told, operation, errors.Unavailable, "headers")
            assert told.request_id.startswith("caf")
            assert len(told.request_id) <= 128
            assert told.retry_after is None


async def test_a_connection_refused_or_reset_before_a_word_was_read() -> None:
    def slam(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().create_task(reset(writer))

    async def ask(port: int) -> list[object]:
        async with open_http(connections=20) as http:
            clients = [
                NylasClient(api_uri=f"http://127.0.0.1:{port}", api_key=KEY, client_id="app", http=http, attempts=1)
                for _ in OPERATIONS
            ]
            calls = [operation.call(client) for operation, client in zip(OPERATIONS, clients, strict=True)]
            return await asyncio.gather(*calls, return_exceptions=True)

    async with await asyncio.start_server(slam, "127.0.0.1", 0) as server:
        for operation, told in zip(OPERATIONS, await ask(server.sockets[0].getsockname()[1]), strict=True):
            check(told, operation, errors.Unreachable, "slam")
            assert told.outcome_unknown
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for operation, told in zip(OPERATIONS, await ask(taken.getsockname()[1]), strict=True):
            check(told, operation, errors.Unreachable, "refused")
            assert not told.outcome_unknown
