"""Users who come back by a link, as whose it is or as somebody else, and what is then told of a grant."""

from sqlalchemy import select
from sqlmodel import col

from models import AuthSession, Event, Grant, HeldBy, Notice, NoticeKind, Outcome, ReauthLink
from tasks import links
from tasks.arrivals import accept
from tasks.context import Context
from tasks.looking import Look, look_at
from tests.stories import SignIn, came_back, the_grant

BOB = "bob@example.com"


async def linked(ctx: Context, grant_id: str) -> ReauthLink:
    """A link that was given out for a grant."""
    async with ctx.database.writing() as session:
        grant = await session.get_one(Grant, grant_id)
        return (await links.mint(ctx, session, grant, created_by="cli", now=ctx.now()))[0]


async def back_by_a_link(ctx: Context, grant_id: str, *, as_: str | None = None) -> SignIn:
    """Let a user come back by a link for this grant, as whose it is, or as somebody else."""
    grant, link = await the_grant(ctx, grant_id), await linked(ctx, grant_id)
    sign_in = await came_back(ctx, login_hint=as_ or grant.email)
    async with ctx.database.writing() as session:
        row = await session.get_one(AuthSession, sign_in.id)
        row.wanted_grant_id, row.wanted_user_id, row.login_hint = grant.id, grant.provider_user_id, grant.email
        row.link_id = link.id
    return sign_in


async def notices(ctx: Context, grant_id: str) -> dict[NoticeKind, HeldBy | str | None]:
    """What is to be told of a grant, and what holds it; why not, where it is not to be told."""
    async with ctx.database.reading() as session:
        rows = await session.scalars(select(Notice).where(col(Notice.grant_id) == grant_id))
        return {row.kind: row.reason if row.settled_at else row.held_by for row in rows}


async def notes(ctx: Context, kind: str) -> list[tuple[str | None, str | None, Outcome | None]]:
    """The rows that only note something."""
    async with ctx.database.reading() as session:
        rows = await session.scalars(select(Event).where(col(Event.kind) == kind))
        return [(row.grant_id, row.reason, row.outcome) for row in rows]


async def looked(ctx: Context, grant_id: str) -> Look:
    """What Nylas says."""
    look = await look_at(ctx, grant_id)
    assert isinstance(look, Look)
    return look


async def accepted(ctx: Context, grant_id: str) -> bool:
    """An admin accepts a grant as it is now."""
    look = await looked(ctx, grant_id)
    async with ctx.database.writing() as session:
        return await accept(ctx, session, look, source="cli", now=ctx.now()) is not None
