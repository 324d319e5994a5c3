"""No secret that is sent, and none that is echoed, is ever seen: not in an error, a log, or a traceback."""

import asyncio
import json
import logging
import traceback
from collections.abc import Callable
from datetime import timedelta
from itertools import cycle, product
from urllib.parse import quote, quote_plus

import pytest
from structlog.testing import capture_logs

from nylas_api import errors
from nylas_api.reading import read_answer
from nylas_api.secrecy import forms_of
from tests.keeping import request_of
from tests.operations import OPERATIONS, PRIVATE_KEY, Operation
from tests.wire import KEY, NOW, Reply, answer, nylas, reset_mid_answer

MARKS = ("SECRET", "nyk_FAKE", "FAKE_API_KEY", "cccc==", "MIIEv")  # each a part of some secret
PLANTED = [operation for operation in OPERATIONS if operation.secrets or operation.bearer is None]

ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: secret,
    "twice in a long text": lambda secret: f"{'x' * 290} {secret} {secret * 2} {'y' * 2000}",
    "in JSON": lambda secret: json.dumps({"sent": secret}),
    "in JSON, not escaped": lambda secret: json.dumps({"sent": secret}, ensure_ascii=False),
    "in a URL": lambda secret: f"https://api.example.com/x?token={quote(secret, safe='')}&a=b",
    "in a form": lambda secret: f"token={quote_plus(secret)}",
    "line by line": lambda secret: " | ".join(secret.split("\n")),
}
PLACES: dict[str, Callable[[str], bytes]] = {
    "message": lambda echo: answer(400, {"error": {"type": "t", "message": echo}}),
    "type": lambda echo: answer(400, {"error": {"type": echo, "message": "No."}}),
    "provider": lambda echo: answer(400, {"error": {"type": "t", "provider_error": {"error": {"a": [1, echo]}}}}),
    "provider as a name": lambda echo: answer(400, {"error": {"type": "t", "provider_error": {echo: 1}}}),
    "request id": lambda echo: answer(400, {"request_id": echo, "error": {"type": "t"}}),
    "v2": lambda echo: answer(422, {"message": echo, "type": echo, "server_error": echo}),
    "OAuth": lambda echo: answer(400, {"error": "invalid_grant", "error_description": echo, "error_uri": echo}),
    "OAuth error": lambda echo: answer(401, {"error": echo, "error_code": echo}),
    "provider limit": lambda echo: answer(429, {"error": {"type": "rate_limit_error", "provider_error": echo}}),
    "page": lambda echo: answer(502, f"<html>{echo}</html>".encode()),
    "garbled success": lambda echo: answer(200, [{"request_id": echo, "id": echo}, echo]),
    "cut success": lambda echo: answer(200, b'{"data": {"id": 7, "access_token": ' + json.dumps(echo).encode()),
}
KEY_IS_RIGHT = answer(200, {"data": {}})  # to the canary, after a 401


def seen_of(error: BaseException) -> str:
    """All that anyone sees who prints, logs or keeps the error."""
    facts = [f"{name}={value}" for name, value in vars(error).items()]
    trace = "".join(traceback.format_exception(error))
    return "\n".join([str(error), repr(error), repr(error.args), *facts, trace])


def marks_in(text: str) -> list[str]:
    return [mark for mark in MARKS if mark in text]


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "aiohttp", "asyncio", "stamina"):
        caplog.set_level(logging.DEBUG, name)


def logged(caplog: pytest.LogCaptureFixture, events: list[object]) -> str:
    lines = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    return "\n".join([caplog.text, *lines, repr(events)])


@pytest.mark.parametrize("operation", PLANTED, ids=str)
def test_a_secret_that_is_echoed_in_any_form_at_any_place_is_not_seen(operation: Operation) -> None:
    request = request_of(operation)
    for secret in (*operation.secrets, KEY):
        for (form, echoed), (place, reply) in product(ECHOES.items(), PLACES.items()):
            head, _, body = reply(echoed(secret)).partition(b"\r\n\r\n")
            with pytest.raises(errors.NylasError) as caught:
                read_answer(request, int(head.split()[1]), {}, body, now=NOW, hidden=forms_of((KEY,)))
            assert not marks_in(seen_of(caught.value)), (form, place, str(caught.value))


async def test_a_secret_that_is_echoed_is_not_seen_by_whoever_called_nor_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    forms = cycle(ECHOES.values())
    async with nylas() as (_, wire):
        with capture_logs() as events:
            for operation, (place, reply) in product(PLANTED, PLACES.items()):
                for secret in (*operation.secrets, KEY):
                    wire.replies[:] = [reply(next(forms)(secret)), KEY_IS_RIGHT]
                    with pytest.raises(errors.NylasError) as caught:
                        await operation.call(wire.new_client())
                    assert not marks_in(seen_of(caught.value)), (operation.name, place, str(caught.value))
    assert not marks_in(logged(caplog, events))


@pytest.mark.parametrize("place", ["type", "message", "provider", "OAuth", "request id"])
async def test_what_was_echoed_is_seen_with_stars_in_its_place(place: str) -> None:
    operation = next(operation for operation in OPERATIONS if operation.name == "auth.custom")
    async with nylas(PLACES[place](f"wrong password {operation.secrets[0]} for ada")) as (client, _):
        with pytest.raises(errors.Rejected) as caught:
            await operation.call(client)
    assert "wrong password *** for ada" in f"{caught.value} {vars(caught.value)}"


FAULTS: dict[str, tuple[Reply, ...]] = {
    "unavailable": (answer(503, {"error": {"type": "t", "message": f"{KEY} {PRIVATE_KEY}"}}),),
    "reset": (reset_mid_answer,),
    "a broken head that echoes": (b"HTTP/1.1 200 OK\r\n" + f"{KEY} SECRET-x: \0{KEY}".encode() + b"\r\n\r\n",),
    "a broken status that echoes": (f"{KEY} SECRET-x\r\n\r\n".encode(),),
    "a redirect that echoes": (answer(302, b"", f"Location: https://evil.example.com/?{KEY}"),),
    "a header that echoes": (answer(503, b"", f"X-Request-Id: {KEY}", f"Set-Cookie: k={KEY}", f"Retry-After: {KEY}"),),
    "limited": (answer(429, {"error": {"type": KEY, "message": KEY}}, "Retry-After: 0"),),
}


@pytest.mark.parametrize("replies", FAULTS.values(), ids=FAULTS)
async def test_retries_log_what_went_wrong_and_no_secret(
    replies: tuple[Reply, ...], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async with nylas(attempts=3, deadline=timedelta(seconds=10)) as (_, wire):
        wire.replies[:] = [*replies] * 12 * len(OPERATIONS)
        with capture_logs() as events:
            calls = [operation.call(wire.new_client()) for operation in OPERATIONS]
            told = await asyncio.gather(*calls, return_exceptions=True)
    for operation, error in zip(OPERATIONS, told, strict=True):
        assert isinstance(error, errors.NylasError), operation
        # A secret that another operation sent is only a text to this one.
        assert not marks_in(_without_others(seen_of(error), operation)), (operation.name, str(error))
    assert any("retry" in str(event) for event in events), "nothing was tried again"
    assert KEY not in logged(caplog, events) + "".join(capfd.readouterr())


def _without_others(text: str, operation: Operation) -> str:
    if PRIVATE_KEY in operation.secrets:
        return text
    for line in PRIVATE_KEY.splitlines():
        text = text.replace(line, "")
    return text.replace("SECRET-x", "")


async def test_a_success_leaves_no_secret_in_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    async with nylas() as (_, wire):
        with capture_logs() as events:
            for operation in OPERATIONS:
                wire.replies[:] = [answer(operation.status, operation.answer)]
                await operation.call(wire.new_client())
    text = logged(caplog, events)
    assert not marks_in(text)
    assert not any(told in text for told in ("told-access-token", "told-refresh-token", "told-webhook-secret"))
