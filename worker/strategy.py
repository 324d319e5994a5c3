"""Celery's way of taking a message in, made safe against messages that nobody of ours has sent."""

import logging
from collections.abc import Callable
from typing import Any

import structlog
from celery import Celery, Task
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.strategy import default

from worker.watchdog import took

log = structlog.get_logger()

LONGEST = 200


def without_body(record: logging.LogRecord) -> bool:
    """Have Celery say that a message is none of ours, without what is in it: that may hold anything."""
    if isinstance(record.msg, str) and "body" in record.msg:
        said = record.msg.partition("\n")[0].partition(" [")[0]
        known = record.args[: said.count("%")] if isinstance(record.args, tuple) else ()
        record.msg, record.args, record.exc_info = (said % known)[:LONGEST], (), None
    return True


logging.getLogger("celery.worker.consumer.consumer").addFilter(without_body)


def guarded(task: "Task[Any, Any]", app: "Celery[Any]", consumer: Any, **options: Any) -> Callable[..., Any]:
    """Handle a message as Celery does; one that it stumbles over is logged and dropped.

    Celery itself would end the worker for it and give the message back, so that the next worker ended as well. No
    work is lost with such a message: the rows are there.
    """
    handle = default(task, app, consumer, **options)

    def handle_safely(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        took()
        try:
            return handle(message, body, ack, reject, callbacks, **more)
        except consumer.connection_errors:
            raise
        except Exception as error:
            if state.should_terminate not in (None, False):
                return None  # the pool takes nothing any more: unacknowledged, the message is given back
            log.error("message.malformed", task=task.name, error=type(error).__name__)
            return ack(get_logger(__name__), consumer.connection_errors)

    return handle_safely
