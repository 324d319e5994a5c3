"""The changes of a grant in the story: from what to what, and by which rule."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.story.line import Line, What, moment
from lifecycle import GrantStatus
from models import Grant, Notice, NoticeKind, Transition

VALID, SUSPECT, EXPIRED, DELETED = GrantStatus.VALID, GrantStatus.SUSPECT, GrantStatus.EXPIRED, GrantStatus.DELETED


async def changes(session: AsyncSession, grant: Grant) -> list[Transition]:
    """Read how a grant moved on."""
    wanted = select(Transition).where(col(Transition.grant_id) == grant.id).order_by(col(Transition.id))
    return list((await session.scalars(wanted)).all())


def in_lines(moves: Iterable[Transition]) -> Iterator[Line]:
    """Tell of the changes."""
    blocked = False
    for move in moves:
        old = move.old_status.value if move.old_status else "unknown to us"
        new = move.new_status.value + (", blocked" if move.blocked else "")
        yield Line(
            at=move.at,
            kind=What.CHANGE,
            actor="Evergrant",
            what=f"{old} → {new}, because of {move.cause}: {_rule(move, blocked)}",
            of=str(move.id),
            before=move.old_status.value if move.old_status else None,
            after=move.new_status.value,
            request_id=move.request_id,
        )
        blocked = move.blocked


def _rule(move: Transition, was_blocked: bool) -> str:
    if move.old_status is move.new_status:
        return "Nylas has blocked it" if move.blocked and not was_blocked else "Nylas has unblocked it"
    match move.old_status, move.new_status:
        case None, GrantStatus.VALID:
            return "it became known, and Nylas says that it works"
        case None, _:
            return "it became known, and Nylas says that it is invalid"
        case _, GrantStatus.SUSPECT:
            return "something hints that it died, and Nylas could not tell; nobody is told"
        case _, GrantStatus.EXPIRED:
            return "Nylas says that it is invalid; nobody is told before a second look agrees"
        case _, GrantStatus.DELETED:
            return "Nylas has no such grant any more; that is for good"
        case GrantStatus.SUSPECT, _:
            return "Nylas says that it works: the doubt is gone"
        case _:
            return "Nylas says that it works again"


def confirmations(grant: Grant, notices: Iterable[Notice]) -> Iterator[Line]:
    """Tell when a second look agreed: the reminders of a spell carry that moment, and the grant that of the last one.

    A grant that had expired before we knew it was never looked at twice.
    """
    agreed: set[datetime] = {notice.occurred_at for notice in notices if notice.kind is NoticeKind.REAUTH_REQUIRED}
    spell = grant.spell
    if spell and spell.confirmed_at and spell.confirm_at > spell.seen_at:
        agreed.add(spell.confirmed_at)
    for at in agreed:
        what = "confirmed: a second look at Nylas, after the grace, said invalid again"
        if spell and at == spell.confirmed_at:
            what += f"; it was found invalid first at {moment(spell.seen_at)}"
        yield Line(at, What.CONFIRMATION, "Nylas", what, f"{grant.id}:{at.isoformat()}")


def quarantine(grant: Grant) -> Iterator[Line]:
    """Tell why an account is not taken for the grant that was wanted."""
    if grant.quarantined:
        what = f"in quarantine, and nobody is told of it, until an admin decides: {grant.quarantined}"
        yield Line(grant.first_seen_at, What.QUARANTINE, "Evergrant", what, grant.id)
