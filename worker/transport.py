"""Celery's way to Redis, made safe against a connection that is lost while messages are held."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as ConnectionLost


class Channel(redis.Channel):
    """A channel that says so when its connection has been given up.

    Kombu gives held messages back when it closes a channel. Where the connection was given up before, it finds none
    to do that by, and fails in a way that nobody expects: the worker ended for it. A lost connection is expected, and
    the messages are no loss: their rows are there.
    """

    @contextmanager
    def conn_or_acquire(self, client: Any | None = None) -> Iterator[Any]:
        """Give a client to speak by, as Kombu does."""
        connection: Any = self.connection  # None, when it was closed
        if client is None and (connection is None or connection.client is None):
            raise ConnectionLost("the connection was given up")
        with super().conn_or_acquire(client) as acquired:
            yield acquired


class Transport(redis.Transport):
    """Kombu's transport over such channels."""

    Channel = Channel


def use() -> None:
    """Let all connections of this process go by this transport."""
    ours = f"{__name__}:{Transport.__name__}"
    TRANSPORT_ALIASES.update({"redis": ours, "rediss": ours})
