"""Reading a notification: one key for one event, and whatever can't be read is kept and set aside."""

import gzip
import hashlib
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ingress.notifications import MOST_INFLATED, Oversized, inflate, read_notification
from models import Application, Event, Outcome
from models.arrivals import Arrival, store_arrivals
from models.columns import new_id
from models.database import Database
from models.kinds import EVENT_KINDS, FROM_NYLAS, UNREADABLE

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
APPLICATION = new_id()
OURS = sorted(EVENT_KINDS - FROM_NYLAS)

EXPIRED: dict[str, Any] = {
    "specversion": "1.0",
    "type": "grant.expired",
    "source": "/nylas/system",
    "id": "uoOXPmOJV1g9Yalc0TONSw",
    "time": 1767425600,
    "webhook_delivery_attempt": 1,
    "data": {
        "application_id": "7c1f0b52-3a94-4f0e-9d6b-5e2a8c41d703",
        "object": {"code": 25009, "grant_id": "3f6a1c88-5b0e-4d29-9b77-c04e12a9d6f1", "provider": "google"},
    },
}
GRANT_ID = EXPIRED["data"]["object"]["grant_id"]

POISON = {
    "not a number": b'{"type":"grant.expired","id":"x","time":NaN,"data":{"object":{"grant_id":"g"}}}',
    "no end": b'{"type":"grant.expired","id":"x","data":{"object":{"grant_id":"g","code":-Infinity}}}',
    "deep array": b"[" * 100_000,
    "deep object": b'{"type":"grant.expired","data":' + b'{"a":' * 100_000,
    "deep and closed": b'{"type":"grant.expired","data":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    "a number of 5,000 digits": b'{"type":"grant.expired","time":' + b"9" * 5000 + b"}",
    "empty": b"",
    "blank": b" \n",
    "not JSON": b"grant.expired",
    "cut off": json.dumps(EXPIRED).encode()[:-5],
    "not UTF-8": b'{"type":"grant.expired\xff"}',
    "an array": b"[]",
    "a string": b'"grant.expired"',
    "null": b"null",
    "a number": b"1e999",
    "no type": b'{"data":{"object":{"grant_id":"g"}}}',
    "a type that is a list": b'{"type":["grant.expired"]}',
    "a type with a lone surrogate": b'{"type":"grant.\\ud800"}',
    "a type with NUL": b'{"type":"grant.expired\\u0000"}',
    "a type with a line break": b'{"type":"grant.expired\\n"}',
    "a type of 65 characters": b'{"type":"' + b"g" * 65 + b'"}',
}


def read(body: bytes) -> Arrival:
    """Read a body at noon."""
    return read_notification(body, application_id=APPLICATION, now=NOON)


def changed(**what: object) -> Arrival:
    """Read the expiry with other fields in its envelope."""
    return read(json.dumps(EXPIRED | what).encode())


def about(**fields: object) -> dict[str, Any]:
    """The expiry's data, with other fields in its object."""
    return EXPIRED["data"] | {"object": EXPIRED["data"]["object"] | fields}


def is_open(event: Arrival) -> bool:
    """Whether there is work to do."""
    return event.settled_at is None and event.outcome is None


def test_a_notification_becomes_a_row_that_is_due_and_keeps_its_bytes() -> None:
    body = json.dumps(EXPIRED, indent=2).encode()

    event = read(body)

    assert (event.kind, event.grant_id, event.source) == ("grant.expired", GRANT_ID, "nylas")
    assert (event.raw, event.received_at, event.due_at) == (body, NOON, NOON)
    assert event.occurred_at == datetime.fromtimestamp(1767425600, UTC)
    assert is_open(event)


def test_the_number_of_the_attempt_and_the_order_of_the_keys_make_no_other_event() -> None:
    def turned(value: Any) -> Any:
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    first = changed().key
    assert changed(webhook_delivery_attempt=3).key == first
    assert changed(source="/elsewhere", specversion="1.1").key == first
    assert read(json.dumps(turned(EXPIRED), indent=1).encode()).key == first
    without = {name: value for name, value in EXPIRED.items() if name != "webhook_delivery_attempt"}
    assert read(json.dumps(without).encode()).key == first


@pytest.mark.parametrize(
    "other",
    [
        {"id": "another"},
        {"id": None},
        {"time": 1767425601},
        {"type": "grant.updated"},
        {"data": about(grant_id="another")},
        {"data": about(code=25014)},
        {"data": EXPIRED["data"] | {"application_id": "another"}},
    ],
)
def test_whatever_says_which_event_it_is_makes_another_one(other: dict[str, Any]) -> None:
    """Nylas' own example shows one `id` for all events of a webhook, so the id alone is not enough."""
    assert changed(**other).key != changed().key


@pytest.mark.parametrize(
    "body",
    [
        {"type": "grant.expired", "data": {"object": {"grant_id": GRANT_ID, "code": 25009}}},
        {"type": "grant.expired", "data": {"grant_id": GRANT_ID}},
        {"type": "grant.expired", "data": {"grant_id": GRANT_ID, "object": "an older shape"}},
        {"type": "grant.expired", "data": {"grant_id": GRANT_ID, "object": {"grant_id": ""}}},
        EXPIRED | {"time": "2026-01-03T07:33:20Z"},
    ],
)
def test_older_and_thinner_shapes_are_read(body: dict[str, Any]) -> None:
    event = read(json.dumps(body).encode())
    assert (event.kind, event.grant_id, event.occurred_at) == ("grant.expired", GRANT_ID, None)
    assert is_open(event)


@pytest.mark.parametrize("kind", ["message.created", "grant.imap_sync_completed", "grant.revoked", *OURS])
def test_a_kind_that_is_not_nylas_to_ask_for_is_kept_and_ignored(kind: str) -> None:
    """A webhook that calls itself by one of our own kinds can set off nothing."""
    event = changed(type=kind)
    assert (event.kind, event.outcome, event.settled_at) == (kind, Outcome.IGNORED, NOON)
    assert json.loads(event.raw)["type"] == kind


def test_our_own_kinds_are_those_that_the_test_above_tries() -> None:
    assert [
        *("grant.recheck", "grant.reported"),
        *("oauth.returned", "reauth.bulk_requested", "sync.requested", "webhooks.doubted"),
    ] == OURS


@pytest.mark.parametrize(
    "grant_id", [None, "", 42, ["g"], {"id": "g"}, "g\0", "\ud800", "g h", "é", "g\n", "-g", "g" * 129, True]
)
def test_a_grant_event_that_names_no_grant_is_set_aside(grant_id: object) -> None:
    event = changed(data=about(grant_id=grant_id))
    assert (event.kind, event.grant_id, event.outcome) == ("grant.expired", None, Outcome.SET_ASIDE)


@pytest.mark.parametrize("data", [None, [], "x", 7, {}, {"object": None}, {"object": []}, {"object": {}}])
def test_a_grant_event_with_any_other_data_is_set_aside(data: object) -> None:
    assert changed(data=data).outcome is Outcome.SET_ASIDE


@pytest.mark.parametrize("time", [None, True, "soon", [], -1e300, 10**18, -(10**18), 10**400])
def test_a_time_that_is_none_is_left_out(time: object) -> None:
    event = changed(time=time)
    assert (event.occurred_at, event.grant_id) == (None, GRANT_ID)
    assert is_open(event)


def test_keys_that_stand_twice_are_read_as_json_reads_them() -> None:
    """The last one holds; the bytes are kept, so that a human can see both."""
    body = b'{"type":"grant.created","type":"grant.expired","data":{"object":{"grant_id":"a","grant_id":"b"}}}'
    event = read(body)
    assert (event.kind, event.grant_id, event.raw) == ("grant.expired", "b", body)


@pytest.mark.parametrize("what", POISON)
def test_poison_is_kept_to_the_byte_and_set_aside(what: str) -> None:
    event = read(POISON[what])
    assert (event.kind, event.outcome, event.settled_at) == (UNREADABLE, Outcome.SET_ASIDE, NOON)
    assert (event.raw, event.grant_id) == (POISON[what], None)


def test_the_same_poison_twice_is_one_event_and_other_poison_another() -> None:
    assert read(b"[").key == read(b"[").key
    assert len({read(body).key for body in POISON.values()}) == len(POISON)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["grant.expired", "grant.created", "message.created", "sync.requested"])
objects = st.fixed_dictionaries({}, optional={"grant_id": st.text() | json_values, "code": json_values})
data = st.fixed_dictionaries({}, optional={"object": objects | json_values, "grant_id": json_values})
envelopes = st.fixed_dictionaries(
    {"type": kinds | json_values}, optional={"id": json_values, "time": json_values, "data": data | json_values}
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(envelopes, json_values).map(lambda value: json.dumps(value).encode()) | st.binary()))
def test_no_body_at_all_makes_it_fail(bodies: list[bytes]) -> None:
    for body in bodies:
        event = read(body)
        assert event.raw == body
        assert len(event.key) <= 96
        assert len(event.kind) <= 64
        if is_open(event):
            assert event.kind in FROM_NYLAS
            assert event.grant_id


async def test_whatever_is_read_can_be_stored(database: Database) -> None:
    """What passes through Python's JSON may break at the database: NUL, lone surrogates, years that are none."""
    application = Application(
        id=APPLICATION, client_id="c", api_uri="u", api_key="eg1.x.y", created_at=NOON, updated_at=NOON
    )
    odd = [changed(time=time) for time in (-62135596800, 253402300799, 0.5, 1e999, float("nan"))]
    odd += [changed(data=about(grant_id=name), id=name) for name in ("g\0", "\ud800", "g" * 128, "!")]
    events = [read(body) for body in POISON.values()] + odd
    async with database.writing() as session:
        session.add(application)
    new = await store_arrivals(database, lambda: events)

    assert new == {event.id for event in events}
    async with database.reading() as session:
        kept = {row.id: row for row in await session.scalars(select(Event))}
    assert all(kept[event.id].raw == event.raw for event in events)
    assert all(kept[event.id].occurred_at == event.occurred_at for event in events)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"type":"grant.expired"}', "nylas:4f1374317b2c41d9c1d02c45e7ed2bdd73bcc3297eb792a78e367ee1896a81f5"),
        (
            b'{"id":"\\ud800","data":{"b":null,"a":[1.0,1e999,10000000000000000000000]},"type":"grant.\\u0065xpired"}',
            "nylas:024f40efcc5eab656fd71a1da1d76faa90581ad1a465cc2986123acae10110aa",
        ),
        (json.dumps(EXPIRED).encode(), "nylas:4ae3bdb842fe8d49aa8059bceeb2654f5376a39547253184a28f2b5b6376bd15"),
        (b"[", "unreadable:245843abef9e72e7efac30138a994bf6301e7e1d7d7042a33d42e863d2638811"),
    ],
)
def test_the_key_of_an_event_is_what_it_has_always_been(body: bytes, key: str) -> None:
    """Rows that are stored already hold it: with another one, what comes again would be taken for new."""
    assert read(body).key == key


def is_json(value: object) -> bool:
    """Tell what is JSON from what only Python writes, and reads."""
    try:
        return bool(json.dumps(value, allow_nan=False))
    except ValueError:
        return False


@settings(max_examples=60, deadline=None)
@given(envelopes.filter(lambda envelope: envelope["type"] == "grant.expired" and is_json(envelope)))
def test_the_key_is_a_hash_of_what_says_which_event_it_is(envelope: dict[str, Any]) -> None:
    data = envelope.get("data")
    what = {name: envelope.get(name) for name in ("type", "id", "time", "data")}
    what["application"] = data.get("application_id") if isinstance(data, dict) else None
    digest = hashlib.sha256(json.dumps(json.loads(json.dumps(what)), sort_keys=True).encode()).hexdigest()
    assert read(json.dumps(envelope).encode()).key == f"nylas:{digest}"


def test_gzip_is_undone() -> None:
    assert inflate(gzip.compress(b"plain" * 1000)) == b"plain" * 1000


def test_a_bomb_is_noticed_before_it_goes_off() -> None:
    with pytest.raises(Oversized):
        inflate(gzip.compress(bytes(MOST_INFLATED * 2)))


@pytest.mark.parametrize(
    "body",
    [b"", b"plain", zlib.compress(b"plain"), gzip.compress(b"plain" * 99, mtime=0)[:-12]],
    ids=["empty", "plain", "zlib", "cut off"],
)
def test_what_is_no_gzip_or_only_a_part_of_one_is_said_to_be_none(body: bytes) -> None:
    """Part of a body must not be taken for all of it."""
    with pytest.raises(ValueError, match="gzip"):
        inflate(body)
