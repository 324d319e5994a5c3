"""Telling at once: what little a task has to tell it tells itself, and no message goes around for it."""

from collections.abc import Sequence
from uuid import UUID

from tasks.context import Context
from tasks.notices.delivering import deliver, send
from tasks.notices.fanning_out import fan_out_few
from tasks.notices.ringing import ring_deliveries
from worker.due import Part, due_now
from worker.sweeper import ring_for_telling

FEW = 10
TO_TELL = (Part.NOTICES, Part.DELIVERIES)
PLACES = 4


class Onward:
    """The way on from an event to the product, in the process that has just settled it.

    A few rows are claimed and worked on at once, as any worker would that gets a message for them; so whatever becomes
    of this process, they are due as before. More than a few go by the queue, and so does all while the places are taken
    or others wait to write: a task tells nobody for long, and others get their turn.
    """

    def __init__(self, *, places: int = PLACES) -> None:
        """So many tasks tell at the same time."""
        self._free = places

    async def tell(self, context: Context, deliveries: Sequence[UUID]) -> None:
        """Send the deliveries that the task has written, tell what else is due to be told, or ring for all that."""
        if not (self._free and context.turns.free):
            await ring_for_telling(context, deliveries)
            return
        self._free -= 1
        try:
            if 0 < len(deliveries) <= FEW:
                await send(context, deliveries)
            due = await due_now(context, TO_TELL)
            if Part.DELIVERIES in due:
                await ring_deliveries(context)
            if Part.NOTICES in due:
                await _tell_few(context)
        finally:
            self._free += 1


async def _tell_few(context: Context) -> None:
    notices, deliveries = await fan_out_few(context, FEW)
    if notices == FEW:
        await ring_for_telling(context)
    if len(deliveries) > FEW:
        await ring_deliveries(context)
    elif deliveries:
        await deliver.run(context, deliveries)
