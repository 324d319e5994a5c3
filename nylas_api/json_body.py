"""Turns the bytes of a body into JSON values that a database can keep."""

import json
from math import isfinite

SIGNS_OF_TROUBLE = (b"\\u", b"\xed", b"\0")
"""One of these is in each body with a NUL or a lone surrogate: escaped, in UTF-8, or in UTF-16 and UTF-32."""


def read_json(body: bytes) -> object:
    """Parse a body, raising ValueError for whatever is not JSON (RFC 8259), however it fails.

    What JSON allows but nobody can store is mended: lone surrogates become "?", NUL characters
    vanish, and numbers without end (NaN, 1e999) become None.
    """
    try:
        value = json.loads(body, parse_float=_finite, parse_constant=lambda _: None)
        return _storable(value) if any(sign in body for sign in SIGNS_OF_TROUBLE) else value
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float | None:
    value = float(text)
    return value if isfinite(value) else None


def _storable(value: object) -> object:
    match value:
        case str():
            return value.replace("\0", "").encode("utf-8", "replace").decode()
        case list():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(name): _storable(item) for name, item in value.items()}
        case _:
            return value
