"""Which way to learn how grants stand is the cheapest: Nylas' lists, or one GET for each."""

from collections.abc import Mapping
from enum import StrEnum
from math import ceil

PAGE = 200
"""Grants on a page of Nylas' list, at most (Nylas: GET /v3/grants, `limit`)."""


PAGE_IN_GETS = 3
"""How many GETs cost us what a page does: to read a full one takes 3.6 ms of processor time, and a single grant 1.0."""

FEW = 30
"""Looks of which it does not matter that Nylas, at 50 calls a second, is asked a few times more."""


class Way(StrEnum):
    """How to look at many grants; where two take as many calls, the first is the surer."""

    ALL = "all"
    """The list of all grants: it tells of each, unless it is gone."""
    INVALID = "invalid"
    """The list of the invalid ones: it tells of each that is on it, and of nobody else."""
    EACH = "each"
    """One GET for each."""


def costs(pending: int, held: int, expired: int) -> dict[Way, int]:
    """Say how many calls each way takes, as far as we know: we hold so many grants, and know so many as expired.

    Any of those that are to be looked at may be new to us, and any may turn out to be invalid.
    """
    return {
        Way.ALL: ceil(max(held, pending) / PAGE),
        Way.INVALID: ceil(min(expired + pending, max(held, pending)) / PAGE),
        Way.EACH: pending,
    }


def cheapest(calls: Mapping[Way, int]) -> Way:
    """Choose among ways by what they cost: in calls, and where a few looks are wanted in our own time as well."""
    of_page = PAGE_IN_GETS if calls[Way.EACH] <= FEW else 1
    return min(calls, key=lambda way: (calls[way] * (1 if way is Way.EACH else of_page), list(Way).index(way)))
