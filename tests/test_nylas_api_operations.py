"""Each operation says exactly what Nylas documents, and reads all of what Nylas says, however little or odd it is."""

import inspect
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import get_args, get_type_hints
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio
from pydantic import BaseModel, SecretStr

from nylas_api import NylasClient, TokenAnswer, errors
from nylas_api.lenient import Said
from nylas_api.reading import read_answer
from tests.keeping import request_of
from tests.operations import OPERATIONS, SIGN_IN, Operation
from tests.wire import KEY, NOW, Wire, answer, nylas

WALKS = {"grants.each_page", "credentials.each_page"}  # of lists that are in the table
ADDRESSES = {"auth.url", "auth.admin_consent_url"}  # nothing is sent
READERS = [operation for operation in OPERATIONS if operation.gives and issubclass(operation.gives, Said)]

one_loop = pytest.mark.asyncio(loop_scope="module")
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
each_reader = pytest.mark.parametrize("operation", READERS, ids=str)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Wire]:
    """One Nylas for all operations."""
    async with nylas() as (_, wire):
        yield wire


@pytest.fixture
def wire(server: Wire) -> Wire:
    """The same, with an empty memory."""
    for memory in (server.heads, server.bodies, server.replies):
        memory.clear()
    return server


def data_of(operation: Operation) -> object:
    """What the success says, out of its envelope."""
    body = operation.answer
    return body if operation.gives is TokenAnswer or "data" not in body else body["data"]


def as_said(value: object) -> object:
    """Put what was read back into the words of Nylas; times must be in UTC."""
    match value:
        case BaseModel():
            return {name: as_said(field) for name, field in value}
        case tuple():
            return [as_said(item) for item in value]
        case SecretStr():
            return value.get_secret_value()
        case datetime():
            assert value.utcoffset() == timedelta()
            return int(value.timestamp())
        case _:
            return value


def said(operation: Operation, fields: dict[str, object]) -> Said:
    """Read an answer that has these fields in place of the documented ones."""
    body = operation.answer
    envelope = {**body, "data": [fields] if isinstance(body.get("data"), list) else fields}
    raw = json.dumps(envelope if "data" in body else fields).encode()
    data, _ = read_answer(request_of(operation), operation.status, {}, raw, now=NOW)
    data = getattr(data, "items", data)
    return data[0] if isinstance(data, tuple) else data


def fields_of(operation: Operation) -> dict[str, object]:
    data = data_of(operation)
    return dict(data[0] if isinstance(data, list) else data)


def test_every_method_of_the_client_is_in_the_table() -> None:
    client = NylasClient(api_uri="https://api.us.nylas.com", api_key=KEY, client_id="app", http=None)
    methods = {
        f"{group}.{name}"
        for group, rooms in vars(client).items()
        for name, _ in inspect.getmembers(rooms, inspect.isroutine)
        if not name.startswith("_")
    }
    assert methods - WALKS - ADDRESSES == {operation.name for operation in OPERATIONS}
    assert len({*(operation.route for operation in OPERATIONS), SIGN_IN.route}) == 37


@one_loop
@each_operation
async def test_an_operation_sends_what_nylas_documents_and_reads_all_that_nylas_says(
    operation: Operation, wire: Wire
) -> None:
    wire.replies.append(answer(operation.status, operation.answer, "X-Request-Id: req-1"))
    told = await operation.call(wire.new_client())
    line, *lines = wire.heads[0].strip().split("\r\n")
    method, target, _ = line.split()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    url = urlsplit(target)
    assert (method, url.path) == (operation.method, operation.path)
    assert sorted(parse_qsl(url.query, keep_blank_values=True)) == sorted(operation.query.items())
    assert headers.get("authorization") == (f"Bearer {operation.bearer}" if operation.bearer else None)
    assert headers["accept"] == "application/json"
    if operation.body is None:
        assert wire.bodies == [b""]
    else:
        assert json.loads(wire.bodies[0]) == operation.body
        assert headers["content-type"] == "application/json"
    assert (told.request_id, told.asked_at) == ("req-1", NOW)
    if operation.gives is None:
        assert told.data is None
        return
    kind = type(told.data[0]) if isinstance(told.data, tuple) else type(told.data)
    assert kind is operation.gives
    expected = data_of(operation)
    if operation.gives is TokenAnswer:
        expected = {**expected, "scope": expected["scope"].split()}
    if operation.gives is bool:
        expected = expected == "success"
    assert as_said(told.data) == expected


@each_reader
def test_what_nylas_leaves_out_is_none_or_empty(operation: Operation) -> None:
    needed = {name for name, field in operation.gives.model_fields.items() if field.is_required()}
    read = said(operation, {name: value for name, value in fields_of(operation).items() if name in needed})
    assert type(read) is operation.gives
    left_out = {name: value for name, value in read if name not in needed}
    assert left_out
    assert all(value in (None, False, (), {}) for value in left_out.values())


@each_reader
def test_fields_and_words_that_nobody_has_heard_of_spoil_nothing(operation: Operation) -> None:
    novel = {"provider": "teapot", "grant_status": "asleep", "status": "resting", "platform": "watch",
             "credential_type": "handshake", "environment": "moon", "region": "mars", "type": "pigeon"}  # fmt: skip
    fields = fields_of(operation)
    known = {name: value for name, value in novel.items() if name in fields}
    read = said(operation, {**fields, **known, "new_field": {"a": [1]}, "another": None})
    assert {name: getattr(read, name) for name in known} == known
    assert not hasattr(read, "new_field")


WRONG = [None, True, False, 7, -1, 0.5, 1e300, 10**30, "", "x", [], ["x", 7, None], {}, {"a": {"b": []}}, [[{}]]]


def optional_fields() -> Iterator[tuple[Operation, str]]:
    for operation in {operation.gives: operation for operation in READERS}.values():
        for name, field in operation.gives.model_fields.items():
            if not field.is_required():
                yield operation, name


@pytest.mark.parametrize(("operation", "name"), list(optional_fields()), ids=str)
def test_an_optional_field_of_any_shape_is_read_as_its_type_or_as_missing(operation: Operation, name: str) -> None:
    hint = get_type_hints(operation.gives)[name]
    for wrong in WRONG:
        value = getattr(said(operation, {**fields_of(operation), name: wrong}), name)
        match value:
            case None:
                assert type(None) in get_args(hint)
            case bool():
                assert hint is bool
            case str():
                assert value == wrong != ""
            case datetime():
                assert value.utcoffset() == timedelta()
                assert value.timestamp() == wrong >= 0
            case SecretStr():
                assert value.get_secret_value() == wrong
            case int():
                assert value == wrong
            case tuple():
                assert all(isinstance(item, str | Said) and item for item in value)
            case _:
                assert value == (wrong if isinstance(wrong, dict) else {})


@pytest.mark.parametrize("moment", ["2026-01-01T00:00:00Z", "2026-01-01T05:30:00+05:30", 1767225600, 1767225600.0])
@each_reader
def test_every_time_is_aware_and_in_utc(operation: Operation, moment: object) -> None:
    fields = fields_of(operation)
    times = [name for name, hint in get_type_hints(operation.gives).items() if "datetime" in str(hint)]
    read = said(operation, {**fields, **dict.fromkeys(times, moment)})
    assert {getattr(read, name) for name in times} <= {datetime(2026, 1, 1, tzinfo=UTC)}
    assert all(getattr(read, name).utcoffset() == timedelta() for name in times)


@each_reader
def test_a_success_without_what_is_insisted_on_is_none(operation: Operation) -> None:
    for name, field in operation.gives.model_fields.items():
        for wrong in (None, 7, "", [], {}) if field.is_required() else ():
            if name == "created_at" and wrong == 7:
                continue
            fields = {**fields_of(operation), name: wrong}
            if isinstance(data_of(operation), list):
                with pytest.raises(IndexError):
                    said(operation, fields)
            else:
                with pytest.raises(errors.Garbled, match="is not what"):
                    said(operation, fields)


@one_loop
@each_operation
async def test_a_deletion_may_be_answered_with_nothing_at_all_and_what_tells_something_may_not(
    operation: Operation, wire: Wire
) -> None:
    wire.replies.append(b"HTTP/1.1 204 No Content\r\nX-Request-Id: req-2\r\n\r\n")
    client = wire.new_client()
    if operation.method == "DELETE" or operation.name in ("auth.revoke", "webhooks.send_test_event"):
        told = await operation.call(client)
        assert (told.data, told.request_id) == (None, "req-2")
        return
    with pytest.raises(errors.Garbled) as caught:
        await operation.call(client)
    assert (caught.value.status, caught.value.request_id) == (204, "req-2")
    assert caught.value.outcome_unknown


@each_reader
def test_what_nylas_tells_in_secret_is_not_shown(operation: Operation) -> None:
    read = said(operation, fields_of(operation))
    secret = [value.get_secret_value() for _, value in read if isinstance(value, SecretStr)]
    assert len(secret) == {"TokenAnswer": 3, "Webhook": 1}.get(operation.gives.__name__, 0)
    assert not any(word in f"{read!r} {read} {read.model_dump_json()}" for word in secret)
