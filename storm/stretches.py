"""Stretches of time, from one moment of the monotonic clock to another: what met them."""

from collections.abc import Iterable

Times = list[tuple[float, float]]
"""When each of some began, by the monotonic clock, and how many seconds it took."""


def within(at: float, seconds: float, stretches: Iterable[tuple[float, float]]) -> bool:
    """Whether what began then and took so long has met one of these stretches."""
    return any(began <= at + seconds and at <= ended for began, ended in stretches)
