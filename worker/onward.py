"""Telling at once: what little a task has to tell it tells itself, and no message goes around for it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from models.kinds import DELIVERY_DUE, NOTICE_DUE
from tasks.context import Context
from tasks.notices.delivering import deliver
from tasks.notices.fanning_out import fan_out
from worker.sweeper import ring_notices

FEW = 10
PLACES = 4

Rings = list[Sequence[UUID]]

_kept: ContextVar[tuple[str, Rings] | None] = ContextVar("kept", default=None)


class Onward:
    """The way on from an event to the product, in the process that has just settled it.

    Each step ends with a ring. A few rows that are rung for here are claimed and worked on at once, as any worker would
    that gets the message; so whatever becomes of this process, they are due as before. More than a few go by the
    queue, and so does all while the places are taken: a task tells nobody for long, and others get their turn.
    """

    def __init__(self, ring: Callable[[str, Sequence[UUID]], None], *, places: int = PLACES) -> None:
        """`ring` tells all workers."""
        self._ring, self._free = ring, places

    def ring(self, kind: str, ids: Sequence[UUID]) -> None:
        """Ring, unless these rows are of the kind that is kept here at the moment."""
        kept = _kept.get()
        if kept and kept[0] == kind and len(ids) + sum(map(len, kept[1])) <= FEW:
            kept[1].append(ids)
        else:
            self._ring(kind, ids)

    async def tell(self, context: Context) -> None:
        """Tell what is due to be told, or ring for it."""
        if not self._free:
            await ring_notices(context)
            return
        self._free -= 1
        try:
            with self._keeping(NOTICE_DUE) as notices:
                await ring_notices(context, likely=True)
                with self._keeping(DELIVERY_DUE) as deliveries:
                    while notices:
                        await fan_out.run(context, notices.pop())
                    sending = [delivery for ids in deliveries for delivery in ids]
                    deliveries.clear()
            if sending:
                await deliver.run(context, sending)
        finally:
            self._free += 1

    @contextmanager
    def _keeping(self, kind: str) -> Iterator[Rings]:
        """Keep the rings of a kind for the length of the block; what is left of them at its end goes to all workers."""
        rings: Rings = []
        before = _kept.set((kind, rings))
        try:
            yield rings
        finally:
            _kept.reset(before)
            for ids in rings:
                self._ring(kind, ids)
