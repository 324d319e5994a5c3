"""The commands `retire`; each imports what it needs when it is called."""

from decimal import Decimal, InvalidOperation
from typing import Annotated
from uuid import UUID

import typer

from ingress.cli_options import AsJson, Yes

retire_app = typer.Typer(
    help="Delete grants that expired long ago: planned first, and done only when you have agreed.",
    no_args_is_help=True,
)


def a_price(text: str) -> Decimal:
    """Read an amount of money."""
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal(-1)
    if not price.is_finite() or price < 0:
        raise typer.BadParameter("that is no price, such as 1.50")
    return price


Plan = Annotated[UUID, typer.Argument(metavar="PLAN_ID", help="The plan's id, as `retire plan` tells it.")]
Price = Annotated[Decimal | None, typer.Option(help="What a grant costs a month.", parser=a_price, metavar="AMOUNT")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="How many lines at most.")]


@retire_app.command("plan")
def retire_plan(price: Price = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show which grants may go and what they cost, as a plan to agree to. Nothing is deleted."""
    from ingress.commands import run
    from ingress.retirement import plan

    run(lambda runtime: plan(runtime, price=price, limit=limit, as_json=as_json))


@retire_app.command("list")
def retire_list(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the plans, newest first."""
    from ingress.commands import run
    from ingress.retirement import list_plans

    run(lambda runtime: list_plans(runtime, limit=limit, as_json=as_json))


@retire_app.command("show")
def retire_show(plan_id: Plan, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show the grants of a plan, and what came of each."""
    from ingress.commands import run
    from ingress.retirement import show_plan

    run(lambda runtime: show_plan(runtime, plan_id, limit=limit, as_json=as_json))


@retire_app.command("approve")
def retire_approve(plan_id: Plan, yes: Yes = False) -> None:
    """Agree to a plan: its grants are deleted at Nylas, for good, but for those that work again by then."""
    from ingress.commands import run
    from ingress.retirement import approve_plan

    run(lambda runtime: approve_plan(runtime, plan_id, yes=yes))


@retire_app.command("cancel")
def retire_cancel(plan_id: Plan) -> None:
    """Drop a plan, or what is left of it. What was deleted stays deleted."""
    from ingress.commands import run
    from ingress.retirement import cancel_plan

    run(lambda runtime: cancel_plan(runtime, plan_id))
