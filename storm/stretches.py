"""Stretches of time, from one moment of the monotonic clock to another: what met them."""

from collections.abc import Iterable


def within(at: float, seconds: float, stretches: Iterable[tuple[float, float]]) -> bool:
    """Whether what began then and took so long has met one of these stretches."""
    return any(began <= at + seconds and at <= ended for began, ended in stretches)
