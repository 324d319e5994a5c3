"""A campaign that another program asks for by a message: it becomes one, or is kept with the reason why not."""

import json
from uuid import UUID

import structlog
from pydantic import ValidationError

from models import Outcome
from models.claims import close
from models.columns import new_id
from models.inbox import event_key, receive, told
from models.kinds import REAUTH_BULK_REQUESTED
from tasks.campaigns.planning import Refused, write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.context import Context

log = structlog.get_logger()

MOST_KEPT = 64 * 1024
LONGEST_REASON = 2_000
SOURCE = "task"


async def asked_by_task(ctx: Context, payload: object, *, task_id: str | None, sender: str | None) -> list[UUID]:
    """Write the campaign that a message asks for; return the events that are new, to be dealt with.

    Without an idempotency key the message's own id is one: a message that comes twice is one campaign. What can't be is
    an event that was set aside, for a human.
    """
    try:
        request = CampaignRequest.model_validate(payload)
        if request.idempotency_key is None and task_id:
            request = request.model_copy(update={"idempotency_key": event_key(SOURCE, _printable(task_id))})
        actor = f"a task of {_printable(sender)}"[:128] if sender else "a task"
        async with ctx.database.writing() as session:
            _, new = await write_campaign(session, ctx, request, source=SOURCE, actor=actor, now=ctx.now())
        return list(new)
    except ValidationError as error:
        reason = "; ".join(f"{_where(each['loc'])}: {each['msg']}" for each in error.errors(include_input=False))
    except Refused as refused:
        reason = str(refused)
    await _set_aside(ctx, payload, f"no campaign can be as this asks for: {reason}", task_id=task_id)
    return []


async def _set_aside(ctx: Context, payload: object, reason: str, *, task_id: str | None) -> None:
    now = ctx.now()
    event = told(
        REAUTH_BULK_REQUESTED,
        event_key("refused", _printable(task_id or str(new_id()))),
        application_id=ctx.application_id,
        source=SOURCE,
        now=now,
        raw=_kept(payload),
    )
    close(event, Outcome.SET_ASIDE, now=now, reason=_printable(reason)[:LONGEST_REASON])
    async with ctx.database.writing() as session:
        new = await receive(session, [event])
    if new:
        log.warning("campaign.not_asked_for_as_it_must_be", event_id=str(event.id))


def _kept(payload: object) -> bytes:
    """The payload as it came, up to a length."""
    try:
        return json.dumps(payload, default=str).encode()[:MOST_KEPT]
    except (ValueError, RecursionError):
        return b""


def _where(path: tuple[int | str, ...]) -> str:
    return ".".join(map(str, path)) or "the payload"


def _printable(text: str) -> str:
    """The text without what a database, or a terminal, would stumble over."""
    return "".join(character if character.isprintable() else "?" for character in text)
