"""The commands that show brakes, and release them."""

from ingress.terminal import put_json, put_table, say
from lifecycle.brake import Braked
from tasks.brakes import done, is_on, release, waiting
from worker.runtime import Runtime


async def show_brakes(runtime: Runtime, *, as_json: bool) -> None:
    """Print for each kind of work its limit, what was done, since when the brake is on, and what waits."""
    ctx, rows = runtime.context, []
    async with ctx.database.reading() as session:
        for kind in Braked:
            incident = await is_on(session, ctx, kind)
            rows.append(
                {
                    "kind": kind.value,
                    "limit": ctx.policy.limits.of(kind) or None,
                    "done": await done(session, ctx, kind, now=ctx.now()),
                    "on_since": incident.opened_at.isoformat() if incident else None,
                    "waiting": await waiting(session, ctx, kind, now=ctx.now()),
                }
            )
    if as_json:
        put_json(rows)
    else:
        put_table(None, tuple(rows[0]), (tuple(row.values()) for row in rows))


async def release_brake(runtime: Runtime, kind: Braked) -> None:
    """Take the brake off."""
    ctx = runtime.context
    async with ctx.database.writing() as session:
        waited = await waiting(session, ctx, kind, now=ctx.now())
        was_on = await release(ctx, session, kind, "released by an admin", now=ctx.now())
    say(f"Released: {waited} {kind.value} that waited go on." if was_on else f"The brake on {kind.value} is not on.")
