"""A campaign for a list of mailboxes: its items are written while the list is read, and then it is asked for."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from uuid import UUID

from ingress.campaign_plans import plan_list
from ingress.lists.files import in_parts, opened, tell_of, warn_if_others_can_read
from ingress.lists.lines import MAILBOXES
from ingress.secret_files import STDIN
from ingress.terminal import agree, fail, say
from models import Campaign, CampaignStatus
from models.columns import new_id
from models.kinds import REAUTH_BULK_REQUESTED
from tasks.campaigns.lines import BadLine, Line
from tasks.campaigns.listed import GivenUp, hold, write_listed
from tasks.campaigns.planning import ask_for
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.steering import NotNow
from tasks.campaigns.unread import give_up_list
from worker.runtime import Runtime

ACTOR = "an admin"


async def by_list(
    runtime: Runtime, path: str, manner: CampaignRequest, *, dry_run: bool, yes: bool
) -> tuple[Campaign | None, int]:
    """Say what a campaign for this list would do, ask, and start it; return it (None after a dry run).

    With it comes how many lines are left out.

    What comes on stdin can be read only once: there is nothing to ask by then.
    """
    if path == STDIN and not (dry_run or yes):
        fail("What comes on stdin can be read only once: say --dry-run, or --yes", code=2)
    if dry_run or not yes:
        left_out = 0

        def tell(bad: Sequence[BadLine]) -> None:
            nonlocal left_out
            left_out += tell_of(bad)

        with opened(path, MAILBOXES) as lines:
            told = _warned(path, lines)
            planned = await plan_list(runtime.context, told, ask_users=manner.ask_users, tell=tell)
        if left_out:
            say(_left_out(left_out))
        say(planned.in_words(budget=runtime.settings.nylas_rate, rate=manner.rate))
        if dry_run:
            return None, left_out
        if not planned.matching:
            fail(f"{path} has no line that a campaign can be for.")
        agree("Start?", yes=yes)
    return await _write(runtime, path, manner, tell=yes)


async def _write(runtime: Runtime, path: str, manner: CampaignRequest, *, tell: bool) -> tuple[Campaign, int]:
    """Write the campaign with its items, part by part, and ask for it; what fails in between is given up."""
    ctx = runtime.context
    campaign = Campaign(
        id=new_id(),
        application_id=ctx.application_id,
        status=CampaignStatus.PLANNED,
        filter={"list": True},
        created_at=ctx.now(),
        source="cli",
        actor=ACTOR,
        rate=manner.rate,
        max_failures=manner.max_failures,
        ask_users=manner.ask_users,
    )
    try:
        with opened(path, MAILBOXES) as lines:
            async with ctx.database.writing() as session:
                session.add(campaign)
            good, bad = await _write_lines(runtime, campaign, _warned(path, lines) if tell else lines, tell=tell)
        if not good:
            fail(f"{path} has no line that a campaign can be for.")
        async with ctx.database.writing() as session:
            await hold(session, campaign)
            new = await ask_for(session, campaign, now=ctx.now())
    except GivenUp as gone:
        fail(f"{gone}.")
    except BaseException:
        await _give_up(runtime, campaign.id)
        raise
    if bad and tell:
        say(_left_out(bad))
    ctx.ring(REAUTH_BULK_REQUESTED, list(new))
    return campaign, bad


async def _write_lines(
    runtime: Runtime, campaign: Campaign, lines: Iterable[Line | BadLine], *, tell: bool
) -> tuple[int, int]:
    """Write the items; return how many lines have got one, and how many none."""
    ctx, good, bad = runtime.context, 0, 0
    for part in in_parts(lines):
        refused = [line for line in part if isinstance(line, BadLine)]
        understood = [line for line in part if isinstance(line, Line)]
        async with ctx.database.writing() as session:
            refused += await write_listed(session, ctx, campaign, understood, now=ctx.now())
        good, bad = good + len(part) - len(refused), bad + len(refused)
        if tell:
            tell_of(sorted(refused, key=lambda line: line.number))
    return good, bad


async def _give_up(runtime: Runtime, campaign_id: UUID) -> None:
    """Let go of the grants of a list that was not read to its end."""
    async with runtime.context.database.reading() as session:
        there = await session.get(Campaign, campaign_id)
    with suppress(NotNow):
        if there:
            await give_up_list(runtime.context, campaign_id)


def _warned(path: str, lines: Iterable[Line | BadLine]) -> Iterator[Line | BadLine]:
    """Say once that others can read the list, if there are secrets in it."""
    warned = False
    for line in lines:
        if not warned and isinstance(line, Line) and line.settings:
            warn_if_others_can_read(path)
            warned = True
        yield line


def _left_out(lines: int) -> str:
    return f"{lines} lines are left out."
