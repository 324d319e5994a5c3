"""Time that passes, for the stories of a whole life: whatever falls due is done, here and at Nylas alike."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from lifecycle.incidents import Scope
from models import CampaignItem, Delivery, Event, Incident, Notice, RetirementItem
from models.kinds import (
    DELIVERY_DUE,
    GRANT_CREATED,
    GRANT_DELETED,
    GRANT_EXPIRED,
    GRANT_RECHECK,
    GRANT_REPORTED,
    GRANT_UPDATED,
    INCIDENT_PROBE,
    NOTICE_DUE,
    OAUTH_RETURNED,
    REAUTH_BULK_REQUESTED,
    REAUTH_REQUESTED,
    RETIREMENT_APPROVED,
    WEBHOOKS_DOUBTED,
)
from simulator import Running
from tasks import grant_hints
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tasks.notices.delivering import deliver
from tasks.notices.fanning_out import fan_out
from tasks.oauth_callback import exchange_codes
from tasks.probing import probe
from tasks.retiring import retire
from tasks.silence import listen_again
from tests.conftest import Rings, SetClock
from tests.receiving import Product, a_product, reaching, told_at
from worker.sweeper import sweep

TASKS: dict[str, Callable[[Context, Sequence[UUID]], Coroutine[Any, Any, None]]] = {
    DELIVERY_DUE: deliver.run,
    GRANT_CREATED: grant_hints.look_at_created.run,
    GRANT_DELETED: grant_hints.confirm_deletion.run,
    GRANT_EXPIRED: grant_hints.confirm_expiry.run,
    GRANT_RECHECK: grant_hints.look_twice.run,
    GRANT_REPORTED: grant_hints.look_at_reported.run,
    GRANT_UPDATED: grant_hints.look_at_updated.run,
    INCIDENT_PROBE: probe.run,
    NOTICE_DUE: fan_out.run,
    OAUTH_RETURNED: exchange_codes.run,
    REAUTH_BULK_REQUESTED: start_campaigns.run,
    REAUTH_REQUESTED: reauthenticate.run,
    RETIREMENT_APPROVED: retire.run,
    WEBHOOKS_DOUBTED: listen_again.run,
}
WORK = (Event, Delivery, CampaignItem, RetirementItem)
A_SECOND = timedelta(seconds=1)


@dataclass
class Life:
    """One worker, Nylas and the product, and the time that passes for all of them."""

    ctx: Context
    sim: Running
    clock: SetClock
    rings: Rings
    product: Product

    async def work(self) -> None:
        """Do what is due now, and what comes of it."""
        while (due := await self._next_due()) and due <= self.clock():
            await sweep(self.ctx)
            if not self.rings.heard:  # told of lately: it is another worker's, or comes again in some seconds
                self._set(self.clock() + A_SECOND)
            while self.rings.heard:
                heard, self.rings.heard = self.rings.heard, []
                await asyncio.gather(*(TASKS[kind](self.ctx, ids) for kind, ids in heard))

    async def passes(self, **time: float) -> None:
        """Let time pass, from one moment at which something is due to the next."""
        until = self.clock() + timedelta(**time)
        await self.work()
        while (due := await self._next_due()) and due <= until:
            self._set(max(due, self.clock()))
            await self.work()
        self._set(max(until, self.clock()))

    def _set(self, moment: datetime) -> None:
        self.sim.state.clock.forward(round((moment - self.clock()).total_seconds()))
        self.clock.time = moment

    async def _next_due(self) -> datetime | None:
        dues = [select(func.min(col(model.due_at))).where(col(model.settled_at).is_(None)) for model in WORK]
        free = select(func.min(col(Notice.due_at))).where(col(Notice.held_by).is_(None))
        dues.append(free.where(col(Notice.settled_at).is_(None)))
        probed = select(func.min(col(Incident.due_at))).where(col(Incident.scope) != Scope.BRAKE)
        dues.append(probed.where(col(Incident.settled_at).is_(None)))
        async with self.ctx.database.reading() as session:
            found = [await session.scalar(due) for due in dues]
        return min((due for due in found if due is not None), default=None)


@pytest.fixture
async def life(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> AsyncIterator[Life]:
    """A worker whose product listens."""
    async with a_product() as product, reaching(ctx) as reach:
        await told_at(reach, product)
        yield Life(reach, sim, clock, rings, product)
