"""Mistakes that are put into the product, to see whether the simulation finds them."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Uuid, bindparam, update
from sqlmodel import col

from ingress import webhooks
from ingress.notifications import read_notification
from lifecycle import Observation
from models import AuthSession, AuthSessionStatus, Event, claims
from models.among import among_given
from models.arrivals import Arrival
from models.columns import new_id
from models.spool import Spool
from nylas_api import NylasError, Transient, Unreachable
from storm.simulation.product import ToTheProduct
from tasks import oauth_callback, observing
from tasks.campaigns import working
from tasks.claiming import Claim
from tasks.context import Context
from tasks.looking import Look
from tasks.notices import delivering
from tasks.notices.outbound import Answer, Unanswered
from tests.kill_mistakes import settles_before_sending

Mistake = Callable[[pytest.MonkeyPatch], None]


def ignores_the_claim_token(patch: pytest.MonkeyPatch) -> None:
    """Who has claimed a row once writes to it, whoever holds it by now, or has settled it."""

    def anybodys(model: Any) -> tuple[ColumnElement[bool], ...]:
        return among_given(col(model.id), "given_ids"), bindparam("given_token", type_=Uuid()).is_not(None)

    patch.setattr(claims, "_ours", anybodys)
    for name in ("_held", "_held_ids"):  # their statements are kept
        patch.setattr(claims, name, cache(getattr(claims, name).__wrapped__))


def takes_a_lost_renewal_for_done(patch: pytest.MonkeyPatch) -> None:
    """A call that was not answered counts as one that was."""
    renew = working.renew_item

    async def renews(ctx: Context, item: Any, *more: Any) -> Any:
        result = await renew(ctx, item, *more)
        valid = Observation.of(is_valid=True, blocked=False, at=ctx.now())
        return Look(item.grant_id, valid, None, None) if isinstance(result, Unreachable) and valid else result

    patch.setattr(working, "renew_item", renews)


def takes_silence_for_a_yes(patch: pytest.MonkeyPatch) -> None:
    """An endpoint that does not answer counts as one that has taken the notice."""
    post = ToTheProduct.post

    async def posts(self: ToTheProduct, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            return await post(self, url, body, headers)
        except Unanswered:
            return Answer(200)

    patch.setattr(ToTheProduct, "post", posts)


def exchanges_a_code_again(patch: pytest.MonkeyPatch) -> None:
    """A code that somebody has sent, and nobody knows what came of it, is sent once more."""
    begin = oauth_callback._begin

    async def begins(claim: Claim[Event], event: Event) -> AuthSession | None:
        async with claim.ctx.database.writing() as session:
            unknown = update(AuthSession).where(
                col(AuthSession.id) == oauth_callback._session_id(event),
                col(AuthSession.status) == AuthSessionStatus.EXCHANGING,
                col(AuthSession.grant_id).is_(None),
            )
            await session.execute(unknown.values(status=AuthSessionStatus.RETURNED))
        return await begin(claim, event)

    patch.setattr(oauth_callback, "_begin", begins)


def settles_a_notice_before_it_is_sent(patch: pytest.MonkeyPatch) -> None:
    """A delivery counts as done before it is."""
    patch.setattr(delivering, "attempt", delivering.attempt)  # so that it is put back
    settles_before_sending()


def stores_a_webhook_as_often_as_it_comes(patch: pytest.MonkeyPatch) -> None:
    """The key of a webhook is another one each time."""

    def reads(body: bytes, **about: Any) -> Arrival:
        arrival = read_notification(body, **about)
        arrival.key = str(new_id())
        return arrival

    patch.setattr(webhooks, "read_notification", reads)


def takes_trouble_for_a_deletion(patch: pytest.MonkeyPatch) -> None:
    """A grant that Nylas can't be asked about counts as gone."""
    look = observing.look_at

    async def looks(ctx: Any, grant_id: str) -> Look | NylasError:
        seen = await look(ctx, grant_id)
        if isinstance(seen, Transient):
            return Look(grant_id, Observation.gone(at=ctx.now()), None, None)
        return seen

    patch.setattr(observing, "look_at", looks)


def answers_before_it_is_kept(patch: pytest.MonkeyPatch) -> None:
    """A webhook that waits is answered, and is nowhere but in the memory of web."""

    async def keeps(_self: Spool, _arrivals: Iterable[Arrival]) -> None:
        pass

    patch.setattr(Spool, "keep", keeps)
