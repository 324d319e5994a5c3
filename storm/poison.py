"""Poison: bodies that are signed as they should be, and that no careful reader takes for a notification."""

import json

DEPTH, DIGITS = 100_000, 5_000


def _deep(number: int) -> bytes:
    return b"[" * (DEPTH + number)


def _long_number(number: int) -> bytes:
    return b'{"type":"grant.updated","id":"poison-%d","time":%s}' % (number, b"9" * DIGITS)


def _surrogate(number: int) -> bytes:
    return b'{"type":"grant.\\ud800","id":"poison-%d","data":{"object":{"grant_id":"\\udfff"}}}' % number


def _not_a_number(number: int) -> bytes:
    return b'{"type":"grant.updated","id":"poison-%d","time":NaN,"data":{"object":{"grant_id":"g-%d"}}}' % (
        number,
        number,
    )


def _nobody(number: int) -> bytes:
    told = {"type": "grant.expired", "id": f"poison-{number}", "time": 1_700_000_000, "data": {"object": {}}}
    return json.dumps(told).encode()


def _bytes(number: int) -> bytes:
    return b"\xff\xfe\x00 no json, number %d" % number


BODIES = {
    "deep": _deep,
    "long number": _long_number,
    "surrogate": _surrogate,
    "no number": _not_a_number,
    "nobody": _nobody,
    "bytes": _bytes,
}


def body(kind: str, number: int) -> bytes:
    """The body of this kind; each number makes another one."""
    return BODIES[kind](number)
