"""An upgrade: the new release's migration while the old one is at work, and then one part after the other."""

from functools import partial

from sqlalchemy import text

from storm.parts import BEATS, OURS, WORKERS
from storm.stage import DidNotFire, Stage, until

GOES_ON_WITHIN = 60.0


async def upgrade(stage: Stage, draw: int) -> str:
    """Migrate, and start all parts again with this release, one by one: workers, beats, and web at last.

    It is drawn which of each goes first. After each step a hint must go all the way: first with the old release alone
    on the new tables, then with both.
    """
    parts = stage.parts
    old = parts.release
    if old is None:
        raise DidNotFire("all parts are of this release already")
    before, pids = await _revision(stage), {name: parts.pid(name) for name in OURS}
    parts.release = None
    if await stage.office.run("migrate") is None:
        raise DidNotFire(f"evergrant migrate failed: {stage.office.said[-1]}")
    after = await _revision(stage)
    if before != old.revision or after == before:
        raise DidNotFire(f"the database went from {before} to {after}, and {old.commit} is made for {old.revision}")
    await _goes_on(stage, "with the old release on the new tables")
    if changed := [name for name in OURS if parts.pid(name) != pids[name]]:
        raise DidNotFire(f"{', '.join(changed)} did not live through the migration")
    first, codes = draw % 2, dict[str, int | None]()
    for name in (*WORKERS[first:], *WORKERS[:first], *BEATS[first:], *BEATS[:first], "web"):
        await parts.end(name)
        codes[name] = parts.children[name].ended
        await parts.start(name)
        await _goes_on(stage, f"after {name} was started again")
    if set(codes.values()) != {0}:
        raise DidNotFire(f"not all ended by themselves: {codes}")
    return f"{before} → {after} under {old.commit}; then {', '.join(codes)} were started again one by one"


async def _revision(stage: Stage) -> str:
    async with stage.database.reading() as session:
        return str(await session.scalar(text("SELECT version_num FROM alembic_version")))


async def _goes_on(stage: Stage, when: str) -> None:
    moment = await stage.hint()
    if not await until(partial(stage.is_settled, moment), seconds=GOES_ON_WITHIN):
        raise DidNotFire(f"nothing went on {when}")
