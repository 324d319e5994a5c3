"""Retirement: dead grants cost money, and a deletion can't be undone."""

import calendar
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from lifecycle.terms import GrantStatus


@dataclass(frozen=True, slots=True)
class RetirementPolicy:
    """Which grants may go: expired, and confirmed so, for so many days, and not on the list of those that never go."""

    after: timedelta
    never: Collection[str] = field(default_factory=frozenset)
    """Grant ids, email addresses, and domains written as `@example.com`."""


def why_not(
    policy: RetirementPolicy,
    *,
    grant_id: str,
    email: str | None,
    status: GrantStatus,
    confirmed_at: datetime | None,
    expired_at: datetime | None,
    now: datetime,
) -> str | None:
    """Say why a grant may not be retired, or None if it may."""
    if status is not GrantStatus.EXPIRED or confirmed_at is None or expired_at is None:
        return "it is not confirmed as expired"
    never = {name.casefold() for name in policy.never}
    address = (email or "").casefold()
    if never & {grant_id.casefold(), address, f"@{address.rpartition('@')[2]}"} - {"", "@"}:
        return "it is on the list of those that are never deleted"
    if now < expired_at + policy.after:
        return f"it expired less than {policy.after.days} days ago"
    return None


def cost_a_month(grants: int, price: Decimal) -> Decimal:
    """Say what so many grants cost a month. Nylas bills valid and invalid ones alike, by the month's highest count."""
    return grants * price


def days_to_month_end(now: datetime) -> int:
    """Count the days until the next UTC month begins, today included: what is gone by then is not billed in it."""
    return calendar.monthrange(now.year, now.month)[1] - now.day + 1
