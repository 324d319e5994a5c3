"""One attempt to deliver a notice to an endpoint: what is sent, by which way, and how that ended."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from models import Endpoint, GrantData, Notice, NoticeData, NoticeKind
from models.bulk import read_grants
from models.sealing import Unsealable
from tasks.context import Context
from tasks.notices.endpoints import CONTACTS, MAIL, contact_of
from tasks.notices.fanning_out import no_longer_true
from tasks.notices.letters import letter
from tasks.notices.links import put_link, ran_out
from tasks.notices.mail import Undeliverable
from tasks.notices.message import body, headers
from tasks.notices.outbound import Unanswered
from tasks.notices.secrets import read_secrets

GONE_STATUS = 410
OF_THE_NOTICE = frozenset({400, 409, 413, 422})
"""An endpoint that answers so works, and refuses this one notice. All else is its own trouble."""


class End(Enum):
    """How an attempt ended."""

    TAKEN = auto()
    REFUSED = auto()
    """This notice was not taken; others may be."""
    TROUBLE = auto()
    """The endpoint takes nothing at the moment."""
    GONE = auto()
    """The endpoint wants nothing any more."""
    HOPELESS = auto()
    """Asking again can't help."""
    POINTLESS = auto()
    """It was not sent: it is not true any more."""
    UNTRIED = auto()
    """It was not sent: another one showed that the endpoint is in trouble, or an earlier one goes first."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended, and why in words."""

    end: End
    reason: str | None = None
    status: int | None = None
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Matter:
    """What a delivery is about, as it stood just before the delivery was claimed."""

    notice: NoticeData
    grant: GrantData | None


async def attempt(ctx: Context, matter: Matter, endpoint: Endpoint) -> Attempt:
    """Send a notice once."""
    notice, grant = matter.notice, matter.grant
    if notice.kind is NoticeKind.REAUTH_REQUIRED and grant:
        if no_longer_true(notice, grant):
            return Attempt(End.POINTLESS, f"the grant is {grant.status.value}, since before this could be delivered")
        if ran_out(notice, now=ctx.now()):
            notice = await _with_fresh_link(ctx, notice, grant)
    if endpoint.url.startswith(MAIL):
        return await _mail(ctx, notice, endpoint, grant)
    try:
        secrets = read_secrets(ctx.keys.reveal(endpoint, "secret"))
    except Unsealable as error:
        return Attempt(End.TROUBLE, str(error))
    content = body(ctx, notice)
    try:
        answer = await ctx.outbound.post(
            endpoint.url, content, headers(str(notice.id), content, secrets, now=ctx.now())
        )
    except Unanswered as error:
        return Attempt(End.TROUBLE, str(error))
    if answer.taken:
        return Attempt(End.TAKEN, None, answer.status)
    said = f"it answered {answer.status}"
    if answer.status == GONE_STATUS:
        return Attempt(End.GONE, said, answer.status)
    end = End.REFUSED if answer.status in OF_THE_NOTICE else End.TROUBLE
    return Attempt(end, said, answer.status, answer.retry_after)


async def _with_fresh_link(ctx: Context, notice: NoticeData, grant: GrantData) -> NoticeData:
    """Replace the link in a notice that ran out on the way."""
    async with ctx.database.writing() as session:
        locked = (await read_grants(session, [grant.id], to_change=True))[grant.id]
        fresh = await session.get_one(Notice, notice.id, with_for_update=True)
        if not no_longer_true(fresh, locked) and ran_out(fresh, now=ctx.now()):
            await put_link(ctx, session, fresh, locked, now=ctx.now())
    return fresh


async def _mail(ctx: Context, notice: NoticeData, endpoint: Endpoint, grant: GrantData | None) -> Attempt:
    to = endpoint.url.removeprefix(MAIL)
    if endpoint.url == CONTACTS:
        contact = contact_of(grant) if grant else None
        if contact is None:
            return Attempt(End.POINTLESS, "no address is known any more but that of the mailbox itself")
        to = contact
    if ctx.outbound.mail is None:
        return Attempt(End.TROUBLE, "EVERGRANT_SMTP_URL is not set in this worker")
    try:
        await ctx.outbound.mail.send(letter(ctx, notice, to), to)
    except Undeliverable as error:
        return Attempt(End.HOPELESS if error.for_good else End.TROUBLE, str(error))
    return Attempt(End.TAKEN)
