"""The commands that plan the deletion of dead grants, ask for it, and show what came of it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.terminal import agree, fail, put_json, put_table, say
from lifecycle.retirement import cost_a_month, days_to_month_end
from models import Grant, Outcome, Retirement, RetirementItem, RetirementStatus
from tasks.retirement_plans import approve, cancel, ended_by_outcome, make_plan
from worker.runtime import Runtime


async def plan(runtime: Runtime, *, price: Decimal | None, limit: int, as_json: bool) -> None:
    """Make a plan and print it; exits with 2 while retirement is off."""
    context, price = runtime.context, runtime.settings.price_per_grant if price is None else price
    if context.policy.retirement is None:
        fail("Retirement is off: set EVERGRANT_RETIRE_AFTER_DAYS, here and for the worker.", code=2)
    planned = await make_plan(context, context.policy.retirement)
    total = planned.plan.total if planned.plan else 0
    summary: dict[str, Any] = {
        "plan_id": str(planned.plan.id) if planned.plan else None,
        "grants": total,
        "staying": sum(planned.staying.values()),
        "after_days": context.policy.retirement.after.days,
        "price": _amount(price),
        "cost_a_month": None if price is None else _amount(cost_a_month(total, price)),
        "days_to_month_end": days_to_month_end(context.now()),
    }
    rows = await _items(runtime, planned.plan.id, limit) if planned.plan else []
    if as_json:
        put_json(summary | {"list": [_due(grant) for _, grant in rows]})
        return
    _say_it(summary, planned.staying, most_an_hour=context.policy.limits.deletions)
    if rows:
        lines = [tuple(_due(grant).values()) for _, grant in rows]
        put_table(None, tuple(_due(rows[0][1])), lines)


def _say_it(summary: Mapping[str, Any], staying: Mapping[str, int], *, most_an_hour: int) -> None:
    grants = summary["grants"]
    say(f"{grants} expired grants may be deleted; {summary['staying']} stay.")
    for reason, number in sorted(staying.items(), key=lambda counted: -counted[1]):
        say(f"  {number}: {reason}")
    if not grants:
        return
    if summary["price"] is not None:
        say(f"They cost {summary['cost_a_month']} a month, at {summary['price']} each.")
    say(
        f"Nylas bills a month (UTC) by its highest count of grants, and {summary['days_to_month_end']} days of this "
        "one are left, today included: what is deleted in them is saved from the next month on."
    )
    if most_an_hour and grants > most_an_hour:
        say(f"After {most_an_hour} deletions within an hour the brake goes on, and waits for you.")
    say(f"Nothing is deleted yet. To have them deleted, for good: evergrant retire approve {summary['plan_id']}")


async def list_plans(runtime: Runtime, *, limit: int, as_json: bool) -> None:
    """Print the plans."""
    ours = select(Retirement).where(col(Retirement.application_id) == runtime.application.id)
    async with runtime.context.database.reading() as session:
        found = await session.scalars(ours.order_by(col(Retirement.id).desc()).limit(limit))
        plans = [await _standing(session, row) for row in found.all()]
    if as_json:
        put_json([{name: _plain(value) for name, value in row.items()} for row in plans])
    elif plans:
        put_table(None, tuple(plans[0]), (tuple(row.values()) for row in plans))


async def show_plan(runtime: Runtime, plan_id: UUID, *, limit: int, as_json: bool) -> None:
    """Print the grants of one plan."""
    async with runtime.context.database.reading() as session:
        standing = await _standing(session, await _find(runtime, session, plan_id))
    rows = [_came_of(item, grant) for item, grant in await _items(runtime, plan_id, limit)]
    say("  ".join(f"{name}: {_plain(value)}" for name, value in standing.items() if value not in (None, 0)))
    if as_json:
        put_json([{name: _plain(value) for name, value in row.items()} for row in rows])
    else:
        put_table(None, tuple(rows[0]), (tuple(row.values()) for row in rows))


async def approve_plan(runtime: Runtime, plan_id: UUID, *, yes: bool) -> None:
    """Ask, and let the plan be carried out; exits with 1 if it is not waiting for that."""
    async with runtime.context.database.reading() as session:
        found = await _find(runtime, session, plan_id)
    if runtime.context.policy.retirement is None:
        fail("Retirement is off: set EVERGRANT_RETIRE_AFTER_DAYS, here and for the worker.", code=2)
    if found.status is RetirementStatus.PLANNED:
        agree(
            f"Delete {found.total} grants at Nylas, for good? Whoever signs in again later gets a new grant id.",
            yes=yes,
        )
    if not await approve(runtime.context, plan_id, by="cli"):
        async with runtime.context.database.reading() as session:
            fail(f"The plan is {(await _find(runtime, session, plan_id)).status.value} already.")
    say(f"Approved. To see what comes of it: evergrant retire show {plan_id}")


async def cancel_plan(runtime: Runtime, plan_id: UUID) -> None:
    """Drop the plan; exits with 1 if it has ended already."""
    async with runtime.context.database.reading() as session:
        await _find(runtime, session, plan_id)
    dropped = await cancel(runtime.context, plan_id)
    if dropped is None:
        async with runtime.context.database.reading() as session:
            fail(f"The plan is {(await _find(runtime, session, plan_id)).status.value} already.")
    say(f"Cancelled: {dropped} grants stay.")


async def _find(runtime: Runtime, session: AsyncSession, plan_id: UUID) -> Retirement:
    found = await session.get(Retirement, plan_id)
    if found is None or found.application_id != runtime.application.id:
        fail(f"There is no plan {plan_id}. (evergrant retire list)")
    return found


async def _items(runtime: Runtime, plan_id: UUID, limit: int) -> list[tuple[RetirementItem, Grant]]:
    wanted = (
        select(RetirementItem, Grant)
        .join(Grant, col(Grant.id) == col(RetirementItem.grant_id))
        .where(col(RetirementItem.retirement_id) == plan_id)
        .order_by(col(RetirementItem.id))
        .limit(limit)
    )
    async with runtime.context.database.reading() as session:
        return [(item, grant) for item, grant in await session.execute(wanted)]


async def _standing(session: AsyncSession, row: Retirement) -> dict[str, Any]:
    ended = await ended_by_outcome(session, row.id)
    return {
        "plan_id": row.id,
        "status": row.status,
        "grants": row.total,
        "deleted": ended.get(Outcome.DONE, 0),
        "skipped": ended.get(Outcome.SKIPPED, 0) + ended.get(Outcome.CANCELLED, 0),
        "failed": ended.get(Outcome.FAILED, 0) + ended.get(Outcome.SET_ASIDE, 0),
        "created_at": row.created_at,
        "approved_at": row.approved_at,
        "approved_by": row.approved_by,
        "finished_at": row.finished_at,
    }


def _due(grant: Grant) -> dict[str, Any]:
    return {
        "grant_id": grant.id,
        "email": grant.email,
        "provider": grant.provider,
        "status": grant.status.value,
        "expired_at": _plain(grant.expired_at),
        "confirmed_at": _plain(grant.confirmed_at),
    }


def _came_of(item: RetirementItem, grant: Grant) -> dict[str, Any]:
    return {
        "grant_id": grant.id,
        "email": grant.email,
        "provider": grant.provider,
        "outcome": item.outcome.value if item.outcome else "open",
        "reason": item.reason,
        "settled_at": item.settled_at,
        "request_id": item.request_id,
    }


def _amount(price: Decimal | None) -> str | None:
    return None if price is None else f"{price:f}"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
