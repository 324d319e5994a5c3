"""The commands of the vault: what single mailboxes are authenticated by comes in from a file, and never out again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.lists.files import in_parts, opened, tell_of, warn_if_others_can_read
from ingress.lists.lines import MAILBOXES
from ingress.terminal import agree, fail, put_json, put_table, say
from models import VaultSecret
from models.columns import new_id
from tasks.campaigns.lines import BadLine, Line, as_text, way_of
from tasks.context import Context
from worker.runtime import Runtime

COLUMNS = ("email", "provider", "way", "created_at", "used_at")


async def import_secrets(runtime: Runtime, path: str, *, as_json: bool) -> None:
    """Seal what a list has into the vault, a part at a time; exits with 1 if some lines were bad.

    What was there for a mailbox is replaced, so that an import which was broken off is simply done again.
    """
    warn_if_others_can_read(path)
    context, kept, bad = runtime.context, 0, 0
    with opened(path, MAILBOXES) as lines:
        for part in in_parts(lines):
            checked = [_for_the_vault(line) for line in part]
            good = [line for line in checked if isinstance(line, Line)]
            if good:
                async with context.database.writing() as session:
                    await keep(session, context, good, now=context.now())
            kept += len(good)
            bad += tell_of(line for line in checked if isinstance(line, BadLine))
    say(f"Mailboxes taken into the vault: {kept}" + (f"; bad lines: {bad}." if bad else "."))
    if as_json:
        put_json({"kept": kept, "bad": bad})
    if bad:
        fail("Mend the bad lines, and import them again.")


async def keep(session: AsyncSession, ctx: Context, lines: Sequence[Line], *, now: datetime) -> None:
    """Write secrets, each sealed for its own row; one that is there for the mailbox makes room, in the same statement.

    Of two lines for one mailbox the last counts. They must have an address, a provider, and settings.
    """
    rows: dict[tuple[str, str], VaultSecret] = {}
    for line in lines:
        if line.settings is None or line.email is None or line.provider is None:
            raise ValueError(f"line {line.number} is nothing for the vault")
        row = VaultSecret(
            id=new_id(),
            application_id=ctx.application_id,
            provider=line.provider,
            email=line.email.lower(),
            way=way_of(line.settings),
            secret="",
            created_at=now,
        )
        ctx.keys.seal(row, "secret", as_text(line.settings))
        rows[row.provider, row.email] = row
    insert = (sqlite if ctx.database.is_sqlite else postgresql).insert(VaultSecret)
    new = {name: insert.excluded[name] for name in ("id", "way", "secret", "created_at", "used_at")}
    replacing = insert.on_conflict_do_update(index_elements=["application_id", "provider", "email"], set_=new)
    # In one order, so that two imports at the same time don't wait for each other in a ring.
    await session.execute(replacing, [rows[mailbox].model_dump() for mailbox in sorted(rows)])


def _for_the_vault(line: Line | BadLine) -> Line | BadLine:
    if isinstance(line, BadLine):
        return line
    if line.settings is None:
        return BadLine(line.number, "it has nothing to keep: a refresh_token, or the settings of an account")
    if line.email is None:
        return BadLine(line.number, "it names no mailbox: the vault is kept by email and provider, not by grant_id")
    if line.provider is None:
        return BadLine(line.number, "it names no provider, which a refresh_token must have")
    return line


async def list_secrets(runtime: Runtime, *, email: str | None, provider: str | None, limit: int, as_json: bool) -> None:
    """Print for which mailboxes the vault has something, never what."""
    wanted = select(VaultSecret).where(col(VaultSecret.application_id) == runtime.application.id)
    if email:
        wanted = wanted.where(col(VaultSecret.email) == email.lower())
    if provider:
        wanted = wanted.where(col(VaultSecret.provider) == provider)
    ordered = wanted.order_by(col(VaultSecret.email), col(VaultSecret.provider)).limit(limit)
    async with runtime.context.database.reading() as session:
        rows = (await session.scalars(ordered)).all()
    if as_json:
        put_json([flat(row) for row in rows])
    else:
        put_table(None, COLUMNS, ((row.email, row.provider, row.way, row.created_at, row.used_at) for row in rows))


async def remove_secret(runtime: Runtime, email: str, *, provider: str | None, yes: bool) -> None:
    """Remove what the vault has for an address, at one provider or at all of them; exits with 1 if that is nothing."""
    its = (col(VaultSecret.application_id) == runtime.application.id) & (col(VaultSecret.email) == email.lower())
    if provider:
        its &= col(VaultSecret.provider) == provider
    database = runtime.context.database
    async with database.reading() as session:
        count = await session.scalar(select(func.count()).select_from(VaultSecret).where(its))
    if not count:
        fail(f"The vault has nothing for {email!r}. (evergrant vault list)")
    agree(f"Remove what the vault has for {email}? It can't be brought back but by importing it again.", yes=yes)
    async with database.writing() as session:
        await session.execute(delete(VaultSecret).where(its))
    say(f"The vault has nothing for {email} any more.")


def flat(row: VaultSecret) -> dict[str, str | None]:
    """What may be told of a secret, as a flat object."""
    return {
        "email": row.email,
        "provider": row.provider,
        "way": row.way.value,
        "created_at": row.created_at.isoformat(),
        "used_at": row.used_at.isoformat() if row.used_at else None,
    }
