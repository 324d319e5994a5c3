"""Which dead grants may be deleted, and what they cost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from lifecycle import GrantStatus
from lifecycle.retirement import RetirementPolicy, cost_a_month, days_to_month_end, named, why_not

VALID, SUSPECT, EXPIRED, DELETED = GrantStatus
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
NOT_CONFIRMED = "it is not confirmed as expired"
TOO_SOON = "it was confirmed as expired less than 30 days ago"
NEVER = "it is on the list of those that are never deleted"


def judged(
    *,
    status: GrantStatus = EXPIRED,
    confirmed_ago: timedelta | None = MONTH,
    grant_id: str = "Grant-1",
    email: str | None = "Ada@Example.com",
    never: str = "",
) -> str | None:
    confirmed_at = None if confirmed_ago is None else NOW - confirmed_ago
    policy = RetirementPolicy(MONTH, named(never.split(",")))
    return why_not(policy, grant_id=grant_id, email=email, status=status, confirmed_at=confirmed_at, now=NOW)


@pytest.mark.parametrize(
    ("status", "confirmed_ago", "why"),
    [
        (EXPIRED, MONTH, None),
        (EXPIRED, 12 * MONTH, None),
        (EXPIRED, MONTH - timedelta(seconds=1), TOO_SOON),
        (EXPIRED, timedelta(), TOO_SOON),
        (EXPIRED, None, NOT_CONFIRMED),
        (VALID, None, NOT_CONFIRMED),
        (VALID, MONTH, NOT_CONFIRMED),
        (SUSPECT, MONTH, NOT_CONFIRMED),
        (DELETED, MONTH, "it was deleted already"),
    ],
)
def test_only_what_was_confirmed_long_ago_may_go(
    status: GrantStatus, confirmed_ago: timedelta | None, why: str | None
) -> None:
    assert judged(status=status, confirmed_ago=confirmed_ago) == why


@pytest.mark.parametrize(
    ("never", "why"),
    [
        ("", None),
        (" , ,", None),
        ("grant-1", NEVER),
        ("GRANT-1", NEVER),
        ("grant-11", None),
        ("ada@example.com", NEVER),
        (" ADA@example.COM ", NEVER),
        ("@example.com", NEVER),
        ("someone,@EXAMPLE.com,other", NEVER),
        ("example.com", None),
        ("@mail.example.com", None),
        ("ada", None),
        ("@", None),
    ],
)
def test_who_is_named_stays_by_id_by_address_and_by_domain(never: str, why: str | None) -> None:
    assert judged(never=never) == why


@pytest.mark.parametrize("email", [None, "", "no-address"])
def test_a_grant_without_an_address_is_named_by_its_id_only(email: str | None) -> None:
    assert judged(email=email, never="@,@no-address") is None
    assert judged(email=email, never="grant-1") == NEVER


def test_the_list_counts_before_the_days() -> None:
    assert judged(confirmed_ago=timedelta(), never="grant-1") == NEVER


@pytest.mark.parametrize(
    ("grants", "price", "cost"), [(0, "1.50", "0"), (1, "1.50", "1.50"), (312, "1.10", "343.20"), (5, "0", "0")]
)
def test_the_cost_is_exact(grants: int, price: str, cost: str) -> None:
    assert cost_a_month(grants, Decimal(price)) == Decimal(cost)


@pytest.mark.parametrize(
    ("moment", "days"),
    [
        ("2026-01-01 00:00", 31),
        ("2026-01-31 23:59", 1),
        ("2026-02-28 12:00", 1),
        ("2028-02-28 12:00", 2),
        ("2026-12-31 00:00", 1),
        ("2026-04-01 00:00", 30),
    ],
)
def test_the_days_that_are_left_of_the_month_include_today(moment: str, days: int) -> None:
    assert days_to_month_end(datetime.fromisoformat(moment).replace(tzinfo=UTC)) == days
