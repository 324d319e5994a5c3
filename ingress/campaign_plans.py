"""What a campaign would do before it is asked for: for a filter, for names, or for the lines of a list."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.lists.files import in_parts
from models import CampaignItem, Grant, Way
from nylas_api import BulkGrant
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.lines import BadLine, Line, takes
from tasks.campaigns.listed import SAY_HOW, find_named
from tasks.campaigns.preview import TAKEN, Preview, preview
from tasks.campaigns.requests import CampaignRequest
from tasks.context import Context


class Among(GrantFilter):
    """A filter that lets only these grants pass."""

    ids: frozenset[str]

    def matches(self, application_id: UUID, now: datetime) -> ColumnElement[bool]:
        """The filter in SQL."""
        return super().matches(application_id, now) & col(Grant.id).in_(self.ids)


async def plan(ctx: Context, request: CampaignRequest) -> Preview:
    """Count what a campaign would do; nothing is written."""
    if request.grants is not None:
        reasons = Counter[str]()
        lines = (_named(number, name) for number, name in enumerate(dict.fromkeys(request.grants), 1))
        planned = await plan_list(
            ctx, lines, ask_users=request.ask_users, tell=lambda bad: reasons.update(line.reason for line in bad)
        )
        return _merged([planned, Preview({}, reasons)])
    async with ctx.database.reading() as session:
        return await _preview(session, ctx, request.filter or GrantFilter(), ask_users=request.ask_users)


async def plan_list(
    ctx: Context, lines: Iterable[Line | BadLine], *, ask_users: bool, tell: Callable[[Sequence[BadLine]], object]
) -> Preview:
    """Count what a campaign over a list would do; `tell` is handed the lines that nothing can be done for."""
    planned = Preview({}, {})
    for part in in_parts(lines):
        good = [line for line in part if isinstance(line, Line)]
        async with ctx.database.reading() as session:
            counted, refused = await _part(session, ctx, good, ask_users=ask_users)
        planned = _merged([planned, counted])
        bad = [*refused, *(line for line in part if isinstance(line, BadLine))]
        tell(sorted(bad, key=lambda line: line.number))
    return planned


def _named(number: int, name: str) -> Line:
    return Line(number, email=name) if "@" in name else Line(number, grant_id=name)


async def _part(
    session: AsyncSession, ctx: Context, lines: Sequence[Line], *, ask_users: bool
) -> tuple[Preview, list[BadLine]]:
    named = await find_named(session, ctx.application_id, lines)
    taken = await _taken(session, named.by_id)
    ways, skipped, bad = Counter[Way](), Counter[str](), list[BadLine]()
    left: set[str] = set()
    for line in lines:
        match named.by(line):
            case BadLine() as refused:
                bad.append(refused)
            case Grant(id=id) if id in taken:
                skipped[TAKEN] += 1
            case Grant(provider=provider) if line.way and not _fits(provider, line):
                bad.append(BadLine(line.number, f"a mailbox of {provider} is not authenticated in this way"))
            case Grant(id=id) if line.way is None:
                left.add(id)
            case None if not (line.provider and line.way):
                bad.append(BadLine(line.number, f"no grant of ours has this address: {SAY_HOW}"))
            case _ if line.way:
                ways[line.way] += 1
    rest = await _preview(session, ctx, Among(ids=frozenset(left)), ask_users=ask_users)
    return _merged([rest, Preview(ways, skipped)]), bad


def _fits(provider: str, line: Line) -> bool:
    return takes(provider, type(line.settings) if line.settings else BulkGrant)


async def _taken(session: AsyncSession, ids: Collection[str]) -> set[str]:
    """Say which of these grants are open in a campaign."""
    still = select(col(CampaignItem.grant_id)).where(
        col(CampaignItem.grant_id).in_(ids), col(CampaignItem.settled_at).is_(None)
    )
    return {str(grant_id) for grant_id in await session.scalars(still)}


async def _preview(session: AsyncSession, ctx: Context, wanted: GrantFilter, *, ask_users: bool) -> Preview:
    return await preview(session, ctx.application_id, wanted, ask_users=ask_users, now=ctx.now())


def _merged(parts: Iterable[Preview]) -> Preview:
    ways, skipped = Counter[Way](), Counter[str]()
    for part in parts:
        ways.update(part.ways)
        skipped.update(part.skipped)
    return Preview(dict(ways), dict(sorted(skipped.items())))
