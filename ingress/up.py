"""`evergrant up`: a small installation in one command."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ingress.children import DidNotStart, accepts
from ingress.embedded import NoServer, start_valkey
from ingress.supervisor import Supervisor
from ingress.terminal import fail
from models.database import Database
from models.migrations import upgrade
from worker.settings import Settings

log = structlog.get_logger()


def migrate(settings: Settings) -> None:
    """Bring the database's tables up to this release."""
    if settings.uses_sqlite:
        settings.data_dir.mkdir(parents=True, exist_ok=True)

    async def run() -> None:
        database = Database(settings.database)
        try:
            await upgrade(database)
        finally:
            await database.close()

    asyncio.run(run())


@contextmanager
def redis_of(settings: Settings) -> Iterator[str]:
    """The Redis that is set, or a Valkey of our own that keeps its data in the data directory."""
    if settings.redis_url:
        yield settings.redis_url
        return
    server, url = start_valkey(settings.data_dir / "valkey", keep=True)
    try:
        yield url
    finally:
        server.stop()


def up(settings: Settings, *, host: str, port: int, concurrency: int) -> None:
    """Migrate, start web, worker and beat (and Valkey, if no Redis is set), and keep them running until stopped."""
    if accepts(port):
        fail(f"Something listens on port {port} already; choose another with --port")
    migrate(settings)
    try:
        with redis_of(settings) as redis_url:
            supervisor = Supervisor({"EVERGRANT_REDIS_URL": redis_url})
            supervisor.stop_on_signals()
            try:
                supervisor.start("worker", "worker", "--concurrency", str(concurrency))
                supervisor.start("beat", "beat")
                web = supervisor.start("web", "web", "--host", host, "--port", str(port))
                web.wait_until(lambda: accepts(port), seconds=30)
                own = "its own Valkey" if not settings.redis_url else "EVERGRANT_REDIS_URL"
                log.info("up", listens_on=f"http://{host}:{port}", data_dir=str(settings.data_dir), messages_by=own)
                log.info("nylas.register_callback_uri", url=settings.callback_url)
                log.info("nylas.register_webhook", url=settings.webhook_url, triggers="grant.*")
                if settings.nylas_webhook_secret is None:
                    log.warning("nylas.no_webhook_secret", set="EVERGRANT_NYLAS_WEBHOOK_SECRET", until_then="503")
                supervisor.keep_running()
                log.info("stopping")
            finally:
                supervisor.stop()
    except (NoServer, DidNotStart) as error:
        fail(str(error))
