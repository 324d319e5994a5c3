"""The command that tells why a grant is as it is."""

from rich.markup import escape

from ingress.grant_lists import find_grant
from ingress.story.line import moment
from ingress.story.whole import story
from ingress.terminal import out, put_json
from lifecycle import GrantStatus
from lifecycle.backfill import backfill_until
from models import Grant
from worker.runtime import Runtime


async def why(runtime: Runtime, name: str, *, as_json: bool) -> None:
    """Print the story of one grant, oldest first."""
    grant = await find_grant(runtime, name)
    async with runtime.context.database.reading() as session:
        lines = await story(session, grant, now=runtime.context.now())
    if as_json:
        put_json([line.flat() for line in lines])
        return
    whose = f"{grant.email} ({grant.provider})" if grant.email else grant.provider
    out.print(f"[bold]{escape(grant.id)}[/]  {escape(whose)}", soft_wrap=True)
    out.print(f"[bold]{grant.status.value}[/], as Nylas said at {moment(grant.as_of)} UTC{_clock(grant)}\n")
    for line in lines:
        asked = f"  [dim]Nylas request {escape(line.request_id)}[/]" if line.request_id else ""
        out.print(f"[dim]{moment(line.at)}[/]  {escape(line.what)}{asked}", soft_wrap=True)
    if grant.status is GrantStatus.EXPIRED:
        out.print(f"\nA link for its user: evergrant grants link {escape(grant.id)}", soft_wrap=True)


def _clock(grant: Grant) -> str:
    if grant.expired_at is None:
        return ""
    until = moment(backfill_until(grant.expired_at))
    return f"; expired at {moment(grant.expired_at)}, and nothing is lost until {until}"
