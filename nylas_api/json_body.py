"""Turns the bytes of a body into JSON values that a database can keep."""

import json
from math import isfinite


def read_json(body: bytes) -> object:
    """Parse a body, raising ValueError for whatever is not JSON (RFC 8259), however it fails.

    What JSON allows but nobody can store is mended: lone surrogates become "?", NUL characters
    vanish, and numbers without end (NaN, 1e999) become None.
    """
    try:
        return _storable(json.loads(body))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _storable(value: object) -> object:
    match value:
        case str():
            return value.replace("\0", "").encode("utf-8", "replace").decode()
        case float():
            return value if isfinite(value) else None
        case list():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(name): _storable(item) for name, item in value.items()}
        case _:
            return value
