"""How answers of Nylas are read: every shape of error, and grants with hardly anything in them."""

import json
from copy import copy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nylas_api import Imap, NylasGrant, TokenAnswer, errors
from nylas_api.lenient import read_flat, read_many, read_one
from nylas_api.reading import LONGEST_WAIT, read_answer, read_retry_after
from nylas_api.request import Request
from nylas_api.secrecy import forms_of

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
GRANT = {"id": "g1", "provider": "google", "scope": ["openid"], "created_at": 1767225600}
KEY, CODE, VERIFIER = "nyk_FAKE_API_KEY_0001", "FAKE-ONE-TIME-CODE", "FAKE-VERIFIER-0123456789"

IMAP = Imap(imap_username="ada@example.com", imap_password="hunter22", imap_host="imap.example.com")

ONE_GRANT = Request("GET", "/v3/grants/g1", "grants", read_one(NylasGrant), about="grant")
GRANT_LIST = Request("GET", "/v3/grants", "grants", read_many(NylasGrant))
EXCHANGE = Request(
    "POST", "/v3/connect/token", "authentication", read_flat(TokenAnswer), spends_a_code=True, secrets=(CODE, VERIFIER)
)
CUSTOM = Request(
    "POST", "/v3/connect/custom", "authentication", read_one(NylasGrant),
    json={"settings": IMAP.body()}, about="account", secrets=IMAP.secrets(),
)  # fmt: skip


def read(request: Request, status: int, body: object, **headers: str) -> object:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(request, status, headers, raw, now=NOW, hidden=forms_of((KEY,)))[0]


def refusal(request: Request, status: int, body: object, **headers: str) -> errors.NylasError:
    with pytest.raises(errors.NylasError) as caught:
        read(request, status, body, **headers)
    return caught.value


def said(type_: str, message: str = "No.", **more: object) -> dict[str, object]:
    return {"request_id": "r1", "error": {"type": type_, "message": message, **more}}


HTML = b"<html><head><title>Attention!</title></head></html>"


@pytest.mark.parametrize(
    ("request_", "status", "body", "kind", "unknown"),
    [
        (ONE_GRANT, 500, said("api.internal_error"), errors.Unavailable, True),
        (ONE_GRANT, 500, HTML, errors.Unavailable, True),
        (ONE_GRANT, 502, b"", errors.Unavailable, True),
        (ONE_GRANT, 503, {"some_field": "some_value"}, errors.Unavailable, True),
        (ONE_GRANT, 504, said("api.provider_error"), errors.Unavailable, True),
        (ONE_GRANT, 302, b"", errors.Unavailable, True),
        (ONE_GRANT, 408, b"", errors.Unavailable, False),
        (ONE_GRANT, 401, said("invalid_request_error"), errors.Unauthorized, False),
        (ONE_GRANT, 401, {"message": "Who?", "type": "invalid_request_error"}, errors.Unauthorized, False),
        (EXCHANGE, 401, {"error": "internal_error", "error_code": "500"}, errors.Unavailable, True),
        (ONE_GRANT, 403, said("grant.access_denied"), errors.Forbidden, False),
        (ONE_GRANT, 403, HTML, errors.Unavailable, False),
        (ONE_GRANT, 404, said("grant.not_found"), errors.GrantNotFound, False),
        (ONE_GRANT, 404, said("xyz.not_found_error"), errors.GrantNotFound, False),
        (ONE_GRANT, 404, HTML, errors.Unavailable, False),
        (ONE_GRANT, 404, {"message": "no Route matched with those values"}, errors.Unavailable, False),
        (GRANT_LIST, 404, said("api.not_found_error"), errors.NotFound, False),
        (GRANT_LIST, 404, HTML, errors.Rejected, False),
        (GRANT_LIST, 400, said("70000", "destination.id.not.found"), errors.NotFound, False),
        (CUSTOM, 404, said("api.not_found_error"), errors.NotFound, False),
        (CUSTOM, 400, said("token.unauthorized_access"), errors.Unauthorized, False),
        (CUSTOM, 400, said("bad_request"), errors.Rejected, False),
        (CUSTOM, 409, said("api.conflict"), errors.Rejected, False),
        (CUSTOM, 422, {"error": "no good"}, errors.Rejected, False),
        (EXCHANGE, 400, {"error": "invalid_grant", "error_code": 45004}, errors.CodeRejected, False),
        (EXCHANGE, 400, said("token.exchange_failed"), errors.CodeRejected, False),
        (ONE_GRANT, 423, said("api.resource_blocked"), errors.Blocked, False),
        (ONE_GRANT, 429, HTML, errors.RateLimited, False),
        (ONE_GRANT, 200, HTML, errors.Garbled, True),
        (ONE_GRANT, 200, b"", errors.Garbled, True),
        (ONE_GRANT, 204, b"", errors.Garbled, True),
        (ONE_GRANT, 200, [GRANT], errors.Garbled, True),
        (ONE_GRANT, 200, {"data": [GRANT]}, errors.Garbled, True),
        (ONE_GRANT, 200, {"data": {**GRANT, "id": ""}}, errors.Garbled, True),
        (ONE_GRANT, 200, {"data": {"provider": "google", "created_at": 1}}, errors.Garbled, True),
        (GRANT_LIST, 200, {"data": GRANT}, errors.Garbled, True),
        (EXCHANGE, 200, {"access_token": "t"}, errors.Garbled, True),
        (ONE_GRANT, 200, b"[" * 100_000, errors.Garbled, True),
        (ONE_GRANT, 400, b"[" * 100_000, errors.Rejected, False),
        (ONE_GRANT, 400, b'{"error":' * 100_000, errors.Rejected, False),
        (ONE_GRANT, 400, b'{"error":{"type":' + b"9" * 5000 + b"}}", errors.Rejected, False),
        (ONE_GRANT, 400, b'{"error":{"type":["\\ud800"],"message":NaN}}', errors.Rejected, False),
        (ONE_GRANT, 400, b"\xff\xfe\x00", errors.Rejected, False),
    ],
)
def test_an_answer_means_what_its_status_says_first(
    request_: Request, status: int, body: object, kind: type[errors.NylasError], unknown: bool
) -> None:
    error = refusal(request_, status, body)
    assert type(error) is kind
    assert error.status == status
    assert error.outcome_unknown is unknown


@pytest.mark.parametrize(
    ("body", "of_provider"),
    [
        (said("nylas_rate_limit_exceeded"), False),
        (said("api.rate_limit_error"), False),
        (said("rate_limit_error"), True),
        (said("api.rate_limit_error", provider_error={"error": {"code": 429}}), True),
        (said("api.rate_limit_error", provider_error="Slow down"), True),
    ],
)
def test_the_limit_of_a_provider_is_told_from_that_of_nylas(body: object, of_provider: bool) -> None:
    error = refusal(ONE_GRANT, 429, body)
    assert isinstance(error, errors.RateLimited)
    assert error.provider_limit is of_provider
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("17", timedelta(seconds=17)),
        ("0.5", timedelta(seconds=0.5)),
        ("Tue, 24 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Tue, 24 Nov 2026 12:00:30 -0000", timedelta(seconds=30)),
        ("Tue, 24 Nov 2026 11:00:00 GMT", timedelta()),
        ("999999999", LONGEST_WAIT),
        *((nonsense, None) for nonsense in ("", "-1", "soon", "nan", "1e9", "9" * 5000, "\uff11\uff17", "Tue, 99 Nov")),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_ignored(value: str, wait: timedelta | None) -> None:
    assert read_retry_after(value, NOW) == wait
    error = refusal(ONE_GRANT, 503, b"", **{"Retry-After": value})
    assert isinstance(error, errors.Transient)
    assert error.retry_after == wait


def test_an_error_tells_what_the_provider_said_and_whom_to_quote() -> None:
    error = refusal(CUSTOM, 400, said("bad_request", provider_error={"error": "invalid_grant", "code": 7}))
    assert (error.type, error.provider_error, error.request_id) == ("bad_request", "invalid_grant: 7", "r1")
    assert str(error) == "Nylas answered 400 (bad_request): No."
    assert refusal(CUSTOM, 500, b"", **{"X-Request-Id": "r2"}).request_id == "r2"
    assert refusal(CUSTOM, 500, b"", **{"request-id": "r3"}).request_id == "r3"


def test_an_oauth_error_is_told_in_its_own_words() -> None:
    body = {"error": "invalid_grant", "error_code": 45004, "error_description": "Code verifier challenge failed"}
    error = refusal(EXCHANGE, 400, body)
    assert str(error) == "Nylas answered 400 (invalid_grant): Code verifier challenge failed: 45004"


@pytest.mark.parametrize("place", ["type", "message", "provider_error", "validation_errors"])
@pytest.mark.parametrize("secret", [KEY, CODE, VERIFIER])
def test_a_secret_that_nylas_echoes_is_blotted_out(place: str, secret: str) -> None:
    body = {"request_id": secret, "error": {"type": "t", place: f"{'x' * 270} {secret} {secret}"}}
    error = refusal(EXCHANGE, 400, body)
    told = f"{error} {error!r} {vars(error)}"
    assert secret[:8] not in told
    assert "***" in told


def test_credentials_of_a_mailbox_are_blotted_out_but_its_host_is_not() -> None:
    error = refusal(CUSTOM, 400, said("x", "hunter22 is wrong at imap.example.com"))
    assert "*** is wrong at imap.example.com" in str(error)
    assert "hunter22" not in repr(CUSTOM) + repr(IMAP)


def test_an_error_is_one_printable_line_of_bounded_length() -> None:
    error = refusal(CUSTOM, 400, said("\x1b[31mred", "a\r\nb\u202e\ud800\0" + "c" * 10_000))
    assert str(error).isprintable()
    assert len(str(error)) <= errors.LONGEST
    assert "a b" in str(error)


def test_an_error_survives_the_way_between_processes() -> None:
    error = errors.RateLimited("slow", provider_limit=True, retry_after=timedelta(seconds=3), status=429)
    twin = copy(error)  # by way of __reduce_ex__, as pickle does it
    assert twin is not error
    assert vars(twin) == vars(error)
    assert str(twin) == "slow"


def test_a_grant_may_have_hardly_anything() -> None:
    grant = read(ONE_GRANT, 200, {"data": {"id": "g", "provider": "teapot", "created_at": 1767225600}})
    assert (grant.email, grant.updated_at, grant.scope, grant.settings) == (None, None, (), {})
    assert grant.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert grant.is_valid is None


@pytest.mark.parametrize(("status", "valid"), [("valid", True), ("invalid", False), ("asleep", None), (7, None)])
def test_a_status_nobody_has_heard_of_is_neither_valid_nor_invalid(status: object, valid: bool | None) -> None:
    assert read(ONE_GRANT, 200, {"data": {**GRANT, "grant_status": status}}).is_valid is valid


def test_a_field_of_the_wrong_type_is_as_good_as_missing() -> None:
    wrong = {"email": 7, "name": "", "state": ["x"], "settings": "none", "scope": {"a": 1}, "blocked": "yes"}
    grant = read(ONE_GRANT, 200, {"data": {**GRANT, **wrong, "updated_at": "yesterday", "ip": None}})
    assert (grant.email, grant.name, grant.state, grant.ip, grant.updated_at) == (None,) * 5
    assert (grant.settings, grant.scope, grant.blocked) == ({}, (), False)


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00"])
def test_times_may_be_rfc_3339(text: str) -> None:
    assert read(ONE_GRANT, 200, {"data": {**GRANT, "updated_at": text}}).updated_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("time", [-62135596800, 10**30, "0001-01-01T00:00:00+14:00", True, "", {}])
def test_a_senseless_time_is_none_or_spoils_the_grant_if_needed(time: object) -> None:
    assert read(ONE_GRANT, 200, {"data": {**GRANT, "updated_at": time}}).updated_at is None
    assert isinstance(refusal(ONE_GRANT, 200, {"data": {**GRANT, "created_at": time}}), errors.Garbled)


def test_what_no_database_can_keep_is_mended() -> None:
    body = b'{"data":{"id":"g","provider":"imap","created_at":1,"name":"A\\ud800\\u0000B",'
    grant = read(ONE_GRANT, 200, body + b'"settings":{"a\\u0000":[NaN,1e999,"\\udfff"]}}}')
    assert grant.name == "A?B"
    assert grant.settings == {"a": [None, None, "?"]}


def test_an_unreadable_entry_does_not_spoil_the_page() -> None:
    page = read(GRANT_LIST, 200, {"data": [GRANT, {"id": 7}, None, "x"]})
    assert [grant.id for grant in page.items] == ["g1"]
    assert page.length == 4


def test_tokens_are_read_and_not_shown() -> None:
    token = read(EXCHANGE, 200, {"grant_id": "g", "access_token": "TOP-1", "id_token": "TOP-2", "scope": "a b"})
    assert (token.grant_id, token.email, token.scope, token.refresh_token) == ("g", None, ("a", "b"), None)
    assert token.access_token.get_secret_value() == "TOP-1"
    assert "TOP" not in repr(token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["data", "error", "type", "message", "provider_error", "request_id", "id", "provider", "created_at",
         "updated_at", "scope", "settings", "grant_id", "error_code", "error_description", "limit"]
    ), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([ONE_GRANT, GRANT_LIST, EXCHANGE, CUSTOM]),
    st.integers(100, 999) | st.sampled_from([200, 201, 400, 401, 403, 404, 429, 500]),
    st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(["Retry-After", "X-Request-Id"]), st.text(), max_size=2),
)
def test_nothing_but_our_own_errors_comes_out_of_the_reader(
    request_: Request, status: int, body: bytes, headers: dict[str, str]
) -> None:
    try:
        read_answer(request_, status, headers, body, now=NOW, hidden=forms_of((KEY,)))
        error = None
    except errors.NylasError as caught:
        error = caught
    if error is None:
        assert 200 <= status < 300
        return
    assert isinstance(error, errors.Transient | errors.Permanent)
    texts = [str(error), error.type, error.request_id, error.provider_error]
    assert all(text is None or (text.isprintable() and len(text) <= errors.LONGEST) for text in texts)
