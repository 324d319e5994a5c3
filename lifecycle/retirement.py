"""Retirement: dead grants cost money, and a deletion can't be undone."""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from lifecycle.terms import GrantStatus


def named(names: Iterable[str]) -> frozenset[str]:
    """Make names comparable: without regard to case, and to blanks around them."""
    return frozenset(name.strip().casefold() for name in names if name.strip())


@dataclass(frozen=True, slots=True)
class RetirementPolicy:
    """Which grants may go: confirmed as expired for so long, and not on the list of those that never go."""

    after: timedelta
    never: frozenset[str] = field(default_factory=frozenset)
    """Grant ids, email addresses, and domains written as `@example.com`, as `named` makes them."""


def stricter(agreed: RetirementPolicy, now: RetirementPolicy) -> RetirementPolicy:
    """Take of two policies what each keeps: what was agreed to then, and what is wanted now."""
    return RetirementPolicy(max(agreed.after, now.after), agreed.never | now.never)


def why_not(
    policy: RetirementPolicy,
    *,
    grant_id: str,
    email: str | None,
    status: GrantStatus,
    confirmed_at: datetime | None,
    now: datetime,
) -> str | None:
    """Say why a grant may not be retired, or None if it may.

    The days count from the confirmation, when its user was told: not from an expiry that nobody knew of.
    """
    if status is GrantStatus.DELETED:
        return "it was deleted already"
    if status is not GrantStatus.EXPIRED or confirmed_at is None:
        return "it is not confirmed as expired"
    address = (email or "").casefold()
    domain = f"@{address.rpartition('@')[2]}" if "@" in address else ""
    if policy.never & {grant_id.casefold(), address, domain}:
        return "it is on the list of those that are never deleted"
    if now < confirmed_at + policy.after:
        return f"it was confirmed as expired less than {policy.after.days} days ago"
    return None


def cost_a_month(grants: int, price: Decimal) -> Decimal:
    """Say what so many grants cost a month. Nylas bills valid and invalid ones alike, by the month's highest count."""
    return grants * price


def days_to_month_end(now: datetime) -> int:
    """Count the days that are left of the month in UTC, today included.

    A month is billed by its highest count: what is deleted in it is saved from the next one on.
    """
    return calendar.monthrange(now.year, now.month)[1] - now.day + 1
