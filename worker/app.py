"""The Celery app: its broker, its queues and the names of the task modules."""

from celery import Celery
from kombu import Exchange
from kombu import Queue as BrokerQueue

from models.kinds import SYNC_REQUESTED, Queue
from worker import transport
from worker.schedule import beat_schedule
from worker.task import ContextTask

TASK_MODULES = (
    "tasks.campaigns.starting",
    "tasks.grant_hints",
    "tasks.housekeeping",
    "tasks.notices.delivering",
    "tasks.notices.fanning_out",
    "tasks.oauth_callback",
    "tasks.probing",
    "tasks.campaigns.working",
    "tasks.retiring",
    "tasks.schedule",
    "tasks.schedules",
    "tasks.silence",
    "tasks.sync",
)
TIME_LIMIT = 240
LONGER = {SYNC_REQUESTED: 6 * 3600}  # a million grants are 5,000 pages; its message comes twice, its row does not
SCHEMA = 1
"""The version of our messages. Another one has queues of its own: a program that knows no such task throws it away."""
KEY_PREFIX = f"evergrant:{SCHEMA}:"


def make_app(redis_url: str) -> "Celery[ContextTask]":
    """Make the app for one broker.

    Messages are JSON and hold row ids only; results are not kept, since the rows are the result. A message is
    acknowledged after its task, so that a killed worker's messages come back; what truly brings work back is the
    sweep. `noeviction` is what the broker needs: a Redis that evicts drops messages without a word.
    """
    transport.use()
    app = Celery("evergrant", task_cls=ContextTask, set_as_current=True)
    app.conf.update(
        broker_url=redis_url,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a Redis that is full, or may not be written to, is one that is away
        broker_transport_options={
            "global_keyprefix": KEY_PREFIX,
            "visibility_timeout": TIME_LIMIT + 60,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "health_check_interval": 5,
        },
        imports=TASK_MODULES,
        task_serializer="json",
        accept_content=["json"],
        task_queues=[BrokerQueue(queue.value, Exchange(queue.value), routing_key=queue.value) for queue in Queue],
        task_default_queue=Queue.INTERACTIVE.value,
        task_create_missing_queues=False,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        result_expires=None,  # else beat would fire Celery's own clean-up of results
        task_store_errors_even_if_ignored=False,
        task_soft_time_limit=TIME_LIMIT,
        task_annotations={kind: {"soft_time_limit": limit} for kind, limit in LONGER.items()},
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_soft_shutdown_timeout=10,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        timezone="UTC",
        beat_schedule=beat_schedule(),
        beat_max_loop_interval=5,
        redbeat_redis_url=redis_url,
        redbeat_redis_options={"socket_timeout": 5, "socket_connect_timeout": 2},
        redbeat_key_prefix="evergrant:redbeat:",
        redbeat_lock_timeout=30,
    )
    app.amqp_cls = "worker.reconnecting:AMQP"
    return app
