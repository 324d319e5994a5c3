"""`evergrant up`: a small installation in one command."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from ingress.children import DidNotStart, accepts, free_port
from ingress.embedded import NoServer, begin_valkey, url_of, wait_for_valkey
from ingress.priority import NICER
from ingress.supervisor import Supervisor
from ingress.terminal import fail
from worker.settings import Settings

log = structlog.get_logger()

PATIENCE = 3600.0  # a migration of many rows takes its time; who does not start at all ends, and is not waited for


@contextmanager
def redis_of(settings: Settings) -> Iterator[tuple[str, Callable[[], None]]]:
    """The Redis that is set, or a Valkey of our own that keeps its data in the data directory; and how to wait for it.

    It is there long before web and worker have loaded what they are made of.
    """
    if settings.redis_url:
        yield settings.redis_url, lambda: None
        return
    port = free_port()
    server = begin_valkey(settings.data_dir / "valkey", keep=True, port=port)
    try:
        yield url_of(port), lambda: wait_for_valkey(server, port)
    finally:
        server.stop()


def up(settings: Settings, *, host: str, port: int, concurrency: int) -> None:
    """Start web, worker and beat (and Valkey, if no Redis is set), and keep them running until stopped.

    Web and worker migrate the database, whichever of them comes first: what that takes they load anyway, and both at
    the same time. Beat comes last, since nobody waits for it.
    """
    if accepts(port):
        fail(f"Something listens on port {port} already; choose another with --port")
    try:
        with redis_of(settings) as (redis_url, wait_for_redis):
            supervisor = Supervisor({"EVERGRANT_REDIS_URL": redis_url}, grace=settings.shutdown_seconds + 2)
            supervisor.stop_on_signals()
            try:
                web = supervisor.start("web", "web", "--migrate", "--host", host, "--port", str(port))
                at_once = ("--concurrency", str(concurrency))
                supervisor.start("worker", "worker", "--migrate", *at_once, nicer=NICER)
                wait_for_redis()
                web.wait_until(lambda: accepts(port) or supervisor.is_stopping, seconds=PATIENCE)
                if not supervisor.is_stopping:
                    supervisor.start("beat", "beat", nicer=NICER)
                    _tell(settings, listens_on=f"http://{host}:{port}")
                supervisor.keep_running()
                log.info("stopping")
            finally:
                supervisor.stop()
    except (NoServer, DidNotStart) as error:
        fail(str(error))


def _tell(settings: Settings, *, listens_on: str) -> None:
    """Say where all is, and what is to be told to Nylas."""
    own = "its own Valkey" if not settings.redis_url else "EVERGRANT_REDIS_URL"
    log.info("up", listens_on=listens_on, data_dir=str(settings.data_dir), messages_by=own)
    log.info("nylas.register_callback_uri", url=settings.callback_url)
    log.info("nylas.register_webhook", url=settings.webhook_url, triggers="grant.*")
    if settings.nylas_webhook_secret is None:
        log.warning("nylas.no_webhook_secret", set="EVERGRANT_NYLAS_WEBHOOK_SECRET", until_then="503")
