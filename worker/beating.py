"""The beat that outlives its Redis: one that comes back with nothing has lost the lock and the schedule."""

from types import SimpleNamespace
from typing import Any

import structlog
from redbeat import RedBeatScheduler
from redbeat.schedulers import acquire_distributed_beat_lock, get_redis
from redis.exceptions import LockError, RedisError

log = structlog.get_logger()

AGAIN_AFTER = 1.0


class Scheduler(RedBeatScheduler):
    """RedBeat's own, but for what it dies of.

    Without the lock nothing is fired: it waits for it again, as at its start. Who has the lock and finds no schedule
    writes it, whoever had written it before.
    """

    lock: Any = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due; return how many seconds there are until the next look."""
        try:
            self._hold_the_lock()
            if not get_redis(self.app).exists(self.app.redbeat_conf.statics_key):
                super().setup_schedule()
            return float(super().tick(*args, **kwargs))
        except (RedisError, OSError) as error:
            log.warning("beat.failed", error=type(error).__name__, again_after=AGAIN_AFTER)
            return AGAIN_AFTER

    def setup_schedule(self) -> None:
        """Write the schedule as beat starts; what a Redis that is full or away refuses then is left to `tick`."""
        try:
            super().setup_schedule()
        except (RedisError, OSError) as error:
            log.warning("beat.failed", error=type(error).__name__)

    def close(self) -> None:
        """End; a lock that can't be given back runs out."""
        try:
            super().close()
        except (RedisError, OSError) as error:
            log.warning("beat.kept_its_lock", error=type(error).__name__)

    def _hold_the_lock(self) -> None:
        """Extend the lock, or wait until it is ours again."""
        if self.lock:
            try:
                self.lock.extend(int(self.lock_timeout))
                return
            except LockError:
                log.warning("beat.lost_its_lock")
                self.lock = None
        acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=self))
