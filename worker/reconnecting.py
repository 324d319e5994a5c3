"""How Celery comes back to a Redis that was away: it asks again every two seconds at least, however long that lasts."""

from collections.abc import Callable
from typing import Any, Self

import kombu
from celery.app import amqp

Heard = Callable[[Exception, float], None]


class Connection(kombu.Connection):
    """A connection that is asked for again soon. Kombu's own waits grow to half a minute, and work waits with them."""

    def ensure_connection(
        self,
        errback: Heard | None = None,
        max_retries: int | None = None,
        interval_start: int = 1,
        interval_step: int = 1,
        interval_max: int = 2,
        callback: Callable[[], None] | None = None,
        reraise_as_library_errors: bool = True,
        timeout: int | None = None,
    ) -> Self:
        """Connect, and try again until that goes; `None` is for ever."""
        tries: dict[str, Any] = {"max_retries": max_retries}
        return super().ensure_connection(
            errback,
            interval_start=interval_start,
            interval_step=interval_step,
            interval_max=interval_max,
            callback=callback,
            reraise_as_library_errors=reraise_as_library_errors,
            timeout=timeout,
            **tries,
        )


class AMQP(amqp.AMQP):
    """Celery's way to the broker, by such connections."""

    Connection = Connection
