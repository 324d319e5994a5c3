"""Housekeeping: what nobody rings for, and has to be done now and then all the same."""

from celery import shared_task

from models.statistics import count_rows
from tasks.campaigns.ending import forget_secrets
from tasks.campaigns.unread import give_up_unread
from tasks.context import Context

HOUSEKEEPING_DUE = "housekeeping.due"


@shared_task(name=HOUSEKEEPING_DUE)
async def keep_house(ctx: Context) -> None:
    """Do all of it: what fails takes nothing else with it. Raises the first failure at the end."""
    failures = []
    for work in (forget_secrets, give_up_unread, _count_rows):
        try:
            await work(ctx)
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]


async def _count_rows(ctx: Context) -> None:
    await count_rows(ctx.database)
