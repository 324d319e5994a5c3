"""A connection to Redis that is lost while messages are held ends nothing but itself."""

import subprocess
import sys
from typing import Any

import pytest
from kombu import Connection
from kombu.common import ignore_errors
from kombu.transport import redis

from worker.transport import Transport


def close_what_was_given_up(url: str, transport: type[redis.Transport]) -> None:
    """Close a channel that holds a message when its connection has been given up, as Celery may after a loss."""
    connection: Any = Connection(url)
    connection.transport_cls = transport
    channel = connection.default_channel
    queue = connection.SimpleQueue("held", channel=channel)
    queue.put({"row": 1})
    queue.get(timeout=5)
    channel.connection.client = None
    ignore_errors(connection, channel.close)


def test_messages_that_are_held_over_a_lost_connection_are_let_go(valkey: str) -> None:
    close_what_was_given_up(valkey, Transport)


def test_by_kombus_own_transport_that_is_an_error_which_nobody_expects(valkey: str) -> None:
    """When this fails, ours has had its day."""
    with pytest.raises(AttributeError, match="hostname"):
        close_what_was_given_up(valkey, redis.Transport)


def test_the_app_speaks_by_ours() -> None:
    """Asked in a process of its own, since Kombu remembers the transport of the first connection."""
    program = """if True:
        from worker.app import make_app
        print(type(make_app("redis://127.0.0.1:1/0").connection_for_write().transport).__module__)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "worker.transport"
