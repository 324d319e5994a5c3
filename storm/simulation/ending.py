"""The end of a run: nothing goes wrong any more, and time passes until nothing is left to do."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from models.kinds import most_ids
from models.rings import RING_AGAIN
from storm.simulation.outside import Web, asks_to_sync, retries_what_crashed, steers
from storm.simulation.passes import Staff, on_message, sweeps
from storm.simulation.wire import DEADLINE, LATER
from storm.simulation.world import World
from worker.sweeper import EVERY

A_WHILE = timedelta(hours=6)
A_MOMENT = 0.01
MOST_ROUNDS = 4_000
SWEEPS_IN_VAIN = 30
"""So many sweeps that find nothing, where something could be done, are no fault that was ordered."""
TAKEN = 200
_OPEN = "SELECT due_at, lease_until, rung_at, {rests} FROM {table} WHERE settled_at IS NULL {free}"
OPEN = (
    _OPEN.format(table="event", rests="NULL", free=""),
    _OPEN.format(table="notice", rests="NULL", free="AND held_by IS NULL"),
    _OPEN.format(table="campaign_item", rests="NULL", free=""),
    _OPEN.format(
        table="delivery",
        rests="(SELECT rests_until FROM endpoint WHERE endpoint.id = delivery.endpoint_id)",
        free="",
    ),
)
CRASHED = """
SELECT 1 FROM event WHERE outcome = 'set_aside' AND crashes > 0
UNION SELECT 1 FROM notice WHERE outcome = 'set_aside' AND crashes > 0
UNION SELECT 1 FROM delivery WHERE outcome = 'set_aside' AND crashes > 0
UNION SELECT 1 FROM campaign_item WHERE outcome = 'set_aside' AND crashes > 0
"""


def ends_well(world: World, staff: Staff, web: Web, campaigns: list[UUID]) -> None:
    """Let all go on: what was ordered to go wrong still does, and then no more; then compare with Nylas."""
    world.product.trouble = None
    for name in list(staff.stopped):
        staff.goes_on(name)
    for campaign_id in campaigns:
        while staff.does(staff.free(), steers(campaign_id, "resume")) is None:
            pass  # what was ordered to go wrong has met the admin
    bring_all(world, staff, web)
    _until_quiet(world, staff)
    world.line.faults.clear()
    world.server.fault = None
    if world.line.late:
        world.run(asyncio.sleep(DEADLINE + LATER + 1))
    bring_all(world, staff, web)
    staff.does(staff.free(), asks_to_sync("the last one"))
    _until_quiet(world, staff)
    if world.nylas.deliveries.told:
        bring_all(world, staff, web)
        _until_quiet(world, staff)


def bring_all(world: World, staff: Staff, web: Web) -> None:
    """Bring all webhooks that are still on their way, and what is in the spool."""
    for event, one in world.on_their_way():
        while staff.does("web", web.brings(event, one)) != TAKEN:
            pass
    while world.spool.count():
        staff.does("web", web.looks_into_the_spool)
        world.run(asyncio.sleep(A_MOMENT))  # what is in web's own line comes by itself


def _until_quiet(world: World, staff: Staff) -> None:
    until, in_vain = world.now() + A_WHILE, 0
    for _ in range(MOST_ROUNDS):
        heard = defaultdict[str, dict[UUID, None]](dict)
        for kind, ids in world.rings:
            heard[kind].update(dict.fromkeys(ids))
        world.rings.clear()
        for kind, wanted in heard.items():
            ids, most = list(wanted), most_ids(kind)
            for start in range(0, len(ids), most):
                staff.does(staff.free(), on_message(kind, ids[start : start + most]))
        if world.rings:
            continue
        now, moments = world.now(), list(next_moments(world))
        if any(moment <= now for moment in moments):
            staff.does(staff.free(), sweeps)
            _retry_what_crashed(world, staff)  # others may wait for it
            if world.rings:
                continue
        later = [moment for moment in moments if moment > now]
        if not later or min(later) > until:
            if any(moment <= now for moment in moments):
                in_vain += 1  # what was ordered to go wrong may have met the sweep
                if in_vain == SWEEPS_IN_VAIN:
                    break
                world.run(asyncio.sleep(EVERY))
                continue
            staff.does(staff.free(), sweeps)
            _retry_what_crashed(world, staff)
            if world.rings:
                continue
            return
        world.run(asyncio.sleep((min(later) - now).total_seconds() + A_MOMENT))
    world.notes.broken.append("there is still something to do, and nobody does it")


def _retry_what_crashed(world: World, staff: Staff) -> None:
    if world.look.execute(CRASHED).fetchone():
        while staff.does("admin", retries_what_crashed) is None:
            pass  # what was ordered to go wrong has met the admin


def next_moments(world: World) -> Iterator[datetime]:
    """When each row that is open can be worked on next."""
    for wanted in OPEN:
        for due, lease, rung, rests in world.look.execute(wanted).fetchall():
            times = [_read(due), _read(lease), _read(rests)]
            if told := _read(rung):
                times.append(told + RING_AGAIN)
            yield max(time for time in times if time)


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
