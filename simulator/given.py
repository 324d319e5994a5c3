"""What a body of the control gives: values of the right kind, or a refusal that says which one is wrong."""

from simulator.answers import Json, bad_request


def whole(sent: Json, name: str, default: int, *, least: int = 0) -> int:
    """Return a whole number that is not below `least`, or refuse; `true` is none."""
    value = sent.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise bad_request(f"{name} must be a whole number, {least} or above")
    return value


def amount(value: object, name: str) -> float:
    """Return a number that is not below 0, or refuse."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise bad_request(f"{name} must be a number, 0 or above")
    return value


def text(sent: Json, name: str) -> str | None:
    """Return a text, None if there is none, or refuse."""
    value = sent.get(name)
    if not isinstance(value, str | None):
        raise bad_request(f"{name} must be a string")
    return value or None


def fields(sent: Json, name: str) -> Json:
    """Return an object, an empty one if there is none, or refuse."""
    value = sent.get(name)
    if not isinstance(value, dict | None):
        raise bad_request(f"{name} must be an object")
    return value or {}
