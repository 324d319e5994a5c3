"""The web front: its routes, and what is open while it serves."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from math import ceil
from types import FrameType
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from ingress import health, reauth, sign_in, webhooks
from ingress.api import PATH
from ingress.door import Door
from ingress.front import Front
from ingress.intake import Intake
from ingress.late_api import LateApi
from ingress.presence import stay_present
from ingress.spooling import Spooling
from models.database import Database
from models.spool import Spool
from worker.app import make_app
from worker.broker import Broker
from worker.doorbell import Doorbell
from worker.runtime import open_runtime
from worker.settings import Settings
from worker.sweeper import sweep_for_ever

log = structlog.get_logger()

STARTUP_FAILURE = 3
INTAKE_PATIENCE = timedelta(seconds=3)


def make_web(settings: Settings, *, redis_url: str) -> Starlette:
    """Make the web application; its parts open when it starts, on the loop that serves it."""
    api = LateApi()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        doorbell = Doorbell(make_app(redis_url), bulk_messages=settings.bulk_messages).start()
        runtime = await open_runtime(settings, ring=doorbell.ring, redis_url=redis_url, watch_key=True)
        # The intake has connections of its own: sweeps and sign-ins keep no webhook waiting for one, or for a turn.
        own = Database(settings.database, pool_size=2, patience=INTAKE_PATIENCE, first=True)
        spooling = Spooling(Spool(own.file) if own.file else None)
        intake = Intake(own, ring=doorbell.ring, spooling=spooling)
        application = runtime.application
        secret = runtime.context.keys.reveal(application, "webhook_secret") if application.webhook_secret else ""
        app.state.front = Front(settings, runtime.context, intake, _listed(secret))
        app.state.broker = Broker(redis_url)
        for_ever = (
            intake.run(),
            spooling.run(intake.store),
            sweep_for_ever(runtime.context),
            stay_present(runtime.context, runtime.redis),
            runtime.clock.keep_agreeing(runtime.context.database),
        )
        loops: list[asyncio.Task[Any]] = [asyncio.create_task(one) for one in for_ever]
        loops.append(api.load(app.state.front))
        log.info("web.ready", callback_url=settings.callback_url, webhook_url=settings.webhook_url)
        yield
        await spooling.end()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await spooling.close()
        doorbell.stop()
        await app.state.broker.close()
        await own.close()
        await runtime.close()

    return Door(
        routes=[
            Route(webhooks.PATH, webhooks.challenge, methods=["GET"]),  # its POST does not come so far: see Door
            Route("/connect/{provider}", sign_in.connect, methods=["GET"]),
            Route("/reauth/{token}", reauth.reauth, methods=["GET"]),
            Route("/oauth/callback", sign_in.callback, methods=["GET"]),
            Route("/healthz", health.alive, methods=["GET"]),
            Route("/readyz", health.ready, methods=["GET"]),
            Mount(PATH, api),
        ],
        lifespan=lifespan,
    )


def run_web(settings: Settings, *, redis_url: str, host: str, port: int) -> None:
    """Serve until told to stop. No access log: the addresses of the callback hold codes.

    What is there by now stays: looking through all of it for garbage would hold every request up, for some 50 ms.
    """
    web = make_web(settings, redis_url=redis_url)
    gc.freeze()
    config = uvicorn.Config(
        web,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=ceil(settings.shutdown_seconds / 2),
        timeout_keep_alive=65,
        server_header=False,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the server raises again what ended it, and that is no failure
    server = _Server(config)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class _Server(uvicorn.Server):
    """A server that a second signal ends at once: what was not answered was not stored, and is sent again."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, or leave."""
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)


def _listed(secrets: str) -> tuple[str, ...]:
    """Nylas' rotation of a webhook secret has no overlap: name the new one and the old one, with a comma between."""
    return tuple(secret.strip() for secret in secrets.split(",") if secret.strip())
