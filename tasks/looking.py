"""The second beat of a task: ask Nylas how grants stand, with no transaction open."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from lifecycle import Observation
from models.database import Database
from nylas_api import (
    Answer,
    Garbled,
    GrantNotFound,
    GrantUnauthorized,
    NylasClient,
    NylasError,
    NylasGrant,
    Unavailable,
)
from tasks.clock import Clock


class Sight(Protocol):
    """What a look needs of a task's context (which holds an observer, and so can't be named here)."""

    @property
    def application_id(self) -> UUID:
        """Whose grants they are."""

    @property
    def database(self) -> Database:
        """Where we keep what we know of them."""

    @property
    def nylas(self) -> NylasClient:
        """Whom to ask."""

    @property
    def now(self) -> Clock:
        """When that is."""


@dataclass(frozen=True, slots=True)
class Look:
    """What we saw of a grant: the observation, Nylas' whole record (None: it has none), and its request id."""

    grant_id: str
    observation: Observation
    record: NylasGrant | None
    request_id: str | None


def seen(answer: Answer[NylasGrant], *, just_authenticated: bool = False) -> Look:
    """Read a grant that Nylas sent as a look.

    Nylas may leave the status out: a grant that it has `just_authenticated` is valid then. Raises Garbled for a
    status that we don't know.
    """
    grant = answer.data
    is_valid = True if just_authenticated and grant.grant_status is None else grant.is_valid
    observation = Observation.of(is_valid=is_valid, blocked=grant.blocked, at=answer.asked_at)
    if observation is None:
        raise Garbled(
            f"Nylas sent grant_status {grant.grant_status!r}, which we do not know",
            status=200,
            request_id=answer.request_id,
            outcome_unknown=True,
        )
    return Look(grant.id, observation, grant, answer.request_id)


async def look_at(ctx: Sight, grant_id: str) -> Look | NylasError:
    """Ask Nylas about one grant. That it has no record of it (404) is a look as well.

    A 401 for this grant alone is none: nothing documents what it would say of the grant, so it is asked about again.
    """
    asked_at: datetime = ctx.now()
    try:
        look = seen(await ctx.nylas.grants.get(grant_id))
        if look.grant_id != grant_id:
            raise Garbled("Nylas answered with another grant than was asked for", request_id=look.request_id)
        return look
    except GrantNotFound as gone:
        return Look(grant_id, Observation.gone(at=asked_at), None, gone.request_id)
    except GrantUnauthorized as refusal:
        return Unavailable(str(refusal), status=refusal.status, type=refusal.type, request_id=refusal.request_id)
    except NylasError as error:
        return error


async def look_at_each(ctx: Sight, grant_ids: Iterable[str]) -> dict[str, Look | NylasError]:
    """Ask Nylas about each of several grants. For what may be many, ask `Context.look_at_many`."""
    wanted = sorted(set(grant_ids))
    return dict(zip(wanted, await asyncio.gather(*(look_at(ctx, grant_id) for grant_id in wanted)), strict=True))
