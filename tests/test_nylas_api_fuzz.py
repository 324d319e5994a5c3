"""Whatever Nylas, or something that is not Nylas, answers to any operation: nothing but our own errors comes out.

`EVERGRANT_TEST_EXAMPLES` says how many answers are read; a third as many go over a real socket.
"""

import asyncio
import gzip
import json
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nylas_api import Answer, errors
from nylas_api.reading import LONGEST_ID, LONGEST_WAIT, read_answer
from nylas_api.secrecy import forms_of
from tests.keeping import request_of
from tests.operations import OPERATIONS, Operation
from tests.wire import KEY, NOW, Wire, nylas

EXAMPLES = int(os.environ.get("EVERGRANT_TEST_EXAMPLES", "300"))

read_settings = settings(max_examples=EXAMPLES, deadline=None)
wire_settings = settings(
    max_examples=max(EXAMPLES // 3, 1), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

operations = st.sampled_from(OPERATIONS)
SECRETS = {secret for operation in OPERATIONS for secret in operation.secrets}
WORDS = [
    "error", "data", "type", "message", "provider_error", "request_id", "error_description", "error_code", "limit",
    "id", "provider", "created_at", "updated_at", "scope", "settings", "grant_id", "expires_in", "email", "iat",
    "callback_uris", "url", "trigger_types", "ip_addresses", "webhook_secret", "access_token", "detected", "aud",
]  # fmt: skip
TIMES = ("created_at", "updated_at", "deleted_at", "status_updated_at", "iat", "exp", "expires_in")
KINDS = [
    "api.not_found_error", "grant.not_found", "invalid_request_error", "internal_error", "rate_limit_error",
    "token.unauthorized_access", "70000", "invalid_grant", "",
]  # fmt: skip
moments = st.sampled_from([0, -1, 1767225600, 0.5, 1e18, 10**30, 10**400, True, None, "", "2026-01-01T00:00:00Z",
                           "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-W01"])  # fmt: skip
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | moments
    | st.text(st.characters(), max_size=30) | st.sampled_from([*KINDS, *sorted(SECRETS), KEY])
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=12,
)
refusals = st.fixed_dictionaries(
    {}, optional={"error": values, "type": leaves, "message": leaves, "error_description": leaves, "request_id": leaves}
)


def retimed(value: object, moment: object) -> object:
    match value:
        case dict():
            return {name: moment if name in TIMES else retimed(inner, moment) for name, inner in value.items()}
        case list():
            return [retimed(inner, moment) for inner in value]
        case _:
            return value


@st.composite
def mutated(draw: st.DrawFn, operation: Operation) -> object:
    """A success of the operation, with a few of its values changed."""
    body = json.loads(json.dumps(operation.answer))
    if draw(st.booleans()):
        body = retimed(body, draw(moments))
    for _ in range(draw(st.integers(1, 4))):
        spot = body
        while isinstance(spot, dict | list) and spot:
            key = draw(st.sampled_from([*spot]) if isinstance(spot, dict) else st.integers(0, len(spot) - 1))
            if not isinstance(spot[key], dict | list) or draw(st.booleans()):
                spot[key] = draw(values)
                break
            spot = spot[key]
    return body


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def bodies(operation: Operation) -> st.SearchStrategy[bytes]:
    successes = mutated(operation).map(encoded)
    return st.one_of(
        successes,
        refusals.map(encoded),
        values.map(encoded),
        values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")),
        st.tuples(successes, st.integers(1, 200)).map(lambda cut: cut[0][: -cut[1]]),
        st.binary(max_size=80),
        st.sampled_from([b"", b"null", b"{}", b"[" * 2000, b'{"data":' * 900 + b"1" + b"}" * 900, b"9" * 5000]),
    )


answered = operations.flatmap(lambda operation: st.tuples(st.just(operation), bodies(operation)))
statuses = st.sampled_from([200, 200, 201, 204, 400, 401, 403, 404, 422, 423, 429, 500, 503]) | st.integers(200, 999)
header_texts = st.text(max_size=20) | st.sampled_from(["7", "-1", "1e9", "Tue, 24 Nov 2026 12:00:30 GMT", "Tue, 99 Nov",
    "Thu, 01 Jan 0001 00:00:00 +1400", "9" * 4000, KEY, *sorted(SECRETS)])  # fmt: skip
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "X-Request-Id", "request-id", "Date", "Content-Type"]), header_texts, max_size=3
)


def check(error: errors.NylasError, operation: Operation) -> None:
    """An error is one of the leaves of the tree, fit for logs and tables, and tells no secret."""
    assert isinstance(error, errors.Transient | errors.Permanent)
    texts = [str(error), error.type, error.request_id, error.provider_error]
    assert all(text is None or (text and text.isprintable() and len(text) <= errors.LONGEST) for text in texts)
    assert len(error.request_id or "") <= LONGEST_ID
    assert KEY not in repr(error) + repr(vars(error))
    assert not any(secret in repr(error) + repr(vars(error)) for secret in operation.secrets)
    wait = getattr(error, "retry_after", None)
    assert wait is None or timedelta() <= wait <= LONGEST_WAIT


@read_settings
@given(answered, statuses | st.integers(100, 199), headers)
def test_any_answer_is_read_or_is_one_of_our_errors(
    answered: tuple[Operation, bytes], status: int, headers: dict[str, str]
) -> None:
    operation, body = answered
    try:
        data, request_id = read_answer(request_of(operation), status, headers, body, now=NOW, hidden=forms_of((KEY,)))
    except errors.NylasError as caught:
        error = caught
    else:
        assert 200 <= status < 300
        assert request_id is None or (request_id.isprintable() and len(request_id) <= LONGEST_ID)
        assert data is None or operation.gives is not None
        return
    check(error, operation)
    assert error.status == status
    assert isinstance(error, errors.Garbled) is (200 <= status < 300)
    assert error.outcome_unknown or 400 <= status < 500


class Loop:
    """One Nylas and one event loop for all examples."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.wire: Wire = self.runner.run(self._open())

    async def _open(self) -> Wire:
        _, wire = await self.stack.enter_async_context(nylas(deadline=timedelta(seconds=5)))
        return wire

    def call(self, operation: Operation, raw: bytes) -> object:
        """Give what came of it: an Answer, or whatever was raised."""

        async def reply(writer: asyncio.StreamWriter) -> None:
            writer.write(raw)
            writer.close()

        async def outcome() -> object:
            return (await asyncio.gather(operation.call(self.wire.new_client()), return_exceptions=True))[0]

        self.wire.replies[:] = [reply] * 4
        return self.runner.run(outcome())

    def close(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def header_line(text: str) -> bytes:
    return text.encode("utf-8", "replace").replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")


@wire_settings
@given(answered, statuses, headers, st.sampled_from(["plain", "gzip", "chunked", "until the end"]))
def test_any_answer_over_a_socket_is_read_or_is_one_of_our_errors(
    loop: Loop, answered: tuple[Operation, bytes], status: int, headers: dict[str, str], framing: str
) -> None:
    operation, body = answered
    lines = [f"HTTP/1.1 {status} x".encode()]
    lines += [name.encode() + b": " + header_line(value) for name, value in headers.items()]
    if framing == "gzip":
        body = gzip.compress(body)
        lines.append(b"Content-Encoding: gzip")
    if framing == "chunked":
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part) + b"0\r\n\r\n"
        lines.append(b"Transfer-Encoding: chunked")
    else:
        lines.append(b"Content-Length: %d" % len(body))
    told = loop.call(operation, b"\r\n".join([*lines, b"Connection: close", b"", body]))
    if isinstance(told, Answer):
        assert 200 <= status < 300
        return
    assert isinstance(told, errors.NylasError), repr(told)
    check(told, operation)
    assert told.status in (status, None)


@wire_settings
@given(operations, st.binary(max_size=120), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 x\r\n\r\n"]))
def test_bytes_that_are_hardly_http_are_one_of_our_errors(
    loop: Loop, operation: Operation, noise: bytes, start: bytes
) -> None:
    told = loop.call(operation, start + noise.replace(b" ", b"\r\n") + b"\r\n\r\nx" * 3)
    assert isinstance(told, errors.NylasError), repr(told)
    check(told, operation)
