"""The commands about re-authentication links."""

from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from ingress.grant_lists import find_grant
from ingress.terminal import fail, moment, out, put_json, put_table, say
from models import Grant, ReauthLink
from tasks import links
from worker.runtime import Runtime

COLUMNS = ("link_id", "grant_id", "email", "status", "created_by", "created_at", "opened_at", "expires_at")


async def give_link(runtime: Runtime, name: str) -> None:
    """Make a link for a grant, and print it; this is the only time that it is shown."""
    await show_link(runtime, await find_grant(runtime, name))


async def show_link(runtime: Runtime, grant: Grant) -> None:
    """Make a link, say on stderr what it is good for, and print it on stdout. Exits with 1 if there can be none."""
    context = runtime.context
    try:
        async with context.database.writing() as session:
            link, url = await links.mint(context, session, grant, created_by="cli", now=context.now())
    except links.NotRenewable as error:
        fail(f"There can be no link for grant {grant.id}: {error}.")
    whose = f"{grant.email} ({grant.provider})" if grant.email else f"grant {grant.id} ({grant.provider})"
    say(f"For {whose} alone, until {moment(link.expires_at)} UTC, or until it has led to a sign-in. Link {link.id}:")
    out.print(url, soft_wrap=True, markup=False)


async def list_links(runtime: Runtime, name: str | None, *, limit: int, as_json: bool) -> None:
    """Print links, the newest first."""
    now = runtime.context.now()
    wanted = select(ReauthLink, Grant).join(Grant, col(Grant.id) == col(ReauthLink.grant_id))
    wanted = wanted.where(col(ReauthLink.application_id) == runtime.application.id)
    if name:
        wanted = wanted.where(col(ReauthLink.grant_id) == (await find_grant(runtime, name)).id)
    async with runtime.context.database.reading() as session:
        found = (await session.execute(wanted.order_by(col(ReauthLink.id).desc()).limit(limit))).all()
    rows = [
        {
            "link_id": str(link.id),
            "grant_id": grant.id,
            "email": grant.email,
            "status": links.status_of(link, now=now).value,
            "created_by": link.created_by,
            "created_at": link.created_at,
            "opened_at": link.opened_at,
            "expires_at": link.expires_at,
        }
        for link, grant in found
    ]
    if as_json:
        put_json(rows)
    else:
        put_table(None, COLUMNS, (tuple(row.values()) for row in rows))


async def revoke_links(runtime: Runtime, link_id: str | None, name: str | None) -> None:
    """Revoke one link, or all those of a grant; exits with 1 if there was none to revoke."""
    if (link_id is None) == (name is None):
        fail("Name either one link by its id, or --grant", code=2)
    of_grant = (await find_grant(runtime, name)).id if name else None
    which = col(ReauthLink.grant_id) == of_grant if of_grant else col(ReauthLink.id) == _uuid(link_id or "")
    async with runtime.context.database.writing() as session:
        ours = select(col(ReauthLink.id)).where(col(ReauthLink.application_id) == runtime.application.id, which)
        found = (await session.scalars(ours)).all()
        revoked = await links.revoke(session, found, now=runtime.context.now())
    if not found:
        fail(f"There is no link {link_id}. (evergrant links list)" if link_id else "The grant has no links.")
    if not revoked:
        fail("Nothing to revoke: spent or revoked already.")
    say("Revoked." if revoked == 1 else f"Revoked {revoked} links.")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        fail(f"{text!r} is no id of a link. (evergrant links list)", code=2)
