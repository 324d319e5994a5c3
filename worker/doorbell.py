"""The doorbell: tells Celery, from a thread of its own, that rows are due; it may fail, the rows are there."""

import queue
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog
from celery import Celery

from models.kinds import QUEUES, Queue, most_ids

log = structlog.get_logger()

WAITING_AT_MOST = 20_000
BULK_AT_MOST = 100


class Doorbell:
    """Sends `(kind, [row ids])` messages. Nobody who rings ever waits for Redis.

    Rings that come while one message is being sent are gathered, so that a burst becomes few messages, each with up
    to 200 ids (100 in bulk, but for campaigns). When Redis is away, or the queue of rings is full, rings are dropped:
    the sweep rings again for what is still due. So are those for bulk while `bulk_messages` of it are in Redis already.
    """

    def __init__(self, app: "Celery[Any]", *, bulk_messages: int = BULK_AT_MOST) -> None:
        """Prepare; `start` starts the thread."""
        self._app, self._bulk_messages, self._bulk_paused = app, bulk_messages, False
        self._rings: queue.Queue[tuple[str, Sequence[UUID]] | None] = queue.Queue(WAITING_AT_MOST)
        self._thread = threading.Thread(target=self._send_all, name="evergrant-doorbell", daemon=True)

    def start(self) -> "Doorbell":
        """Start the thread."""
        self._thread.start()
        return self

    def ring(self, kind: str, ids: Sequence[UUID]) -> None:
        """Say that these rows of this kind are due. Returns at once, and never fails."""
        if ids and kind in QUEUES:
            try:
                self._rings.put_nowait((kind, ids))
            except queue.Full:
                log.warning("doorbell.full", kind=kind, rows=len(ids))

    def stop(self, *, grace: float = 2.0) -> None:
        """Send what waits, if Redis lets us within `grace` seconds, and end."""
        try:
            self._rings.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(grace)

    def _send_all(self) -> None:
        going_on = True
        while going_on:
            rings = [self._rings.get()]
            while not self._rings.empty():
                rings.append(self._rings.get_nowait())
            going_on = None not in rings
            by_kind: dict[str, list[UUID]] = defaultdict(list)
            for ring in rings:
                if ring is not None:
                    by_kind[ring[0]].extend(ring[1])
            for kind, ids in by_kind.items():
                for part in _parts(ids, most_ids(kind)):
                    self._send(kind, part)

    def _send(self, kind: str, ids: Sequence[UUID]) -> None:
        told, queue_name = [[str(row) for row in ids]], QUEUES[kind].value
        try:
            with self._app.producer_or_acquire() as producer:
                if QUEUES[kind] is Queue.BULK and self._is_bulk_paused(producer.channel.client.llen(queue_name)):
                    return
                self._app.send_task(kind, args=told, queue=queue_name, retry=False, producer=producer)
        except Exception as error:  # whatever it is, the row stays due and the sweep rings again
            log.warning("doorbell.failed", kind=kind, rows=len(ids), error=type(error).__name__)

    def _is_bulk_paused(self, waiting: int) -> bool:
        """Say whether enough of bulk waits already; whoever reads the log is told once when that begins, and ends."""
        paused = waiting >= self._bulk_messages
        if paused != self._bulk_paused:
            self._bulk_paused = paused
            log.info("bulk.paused" if paused else "bulk.goes_on", messages=waiting)
        return paused


def _parts(ids: Sequence[UUID], size: int) -> Iterable[Sequence[UUID]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
