"""Starting and stopping: inside a test with `start`, as a program with `serve`."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from simulator.app import application
from simulator.connectors import READY_MADE
from simulator.courier import Courier
from simulator.deliveries import Deliveries
from simulator.state import Options, State

PATIENCE = 0.3


@dataclass(frozen=True, slots=True)
class Running:
    """A simulator that listens."""

    host: str
    port: int
    state: State
    _runner: web.AppRunner

    @property
    def url(self) -> str:
        """What a client takes as Nylas' address."""
        return f"http://{self.host}:{self.port}"

    async def stop(self) -> None:
        """Stop, within a second, whatever is still hanging."""
        await self.state.deliveries.close()
        await self._runner.cleanup()


async def start(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    latency_ms: int = 0,
    api_key: str | None = None,
    client_id: str | None = None,
    webhook_secret: str | None = None,
    seed: int | None = None,
    rate: int | None = None,
    connectors: Sequence[str] = READY_MADE,
    retry_waits: Sequence[float] = (1.0, 3.0),
) -> Running:
    """Start on the running loop; port 0 picks a free one.

    `retry_waits` are the seconds before the second and third delivery of an event, which at Nylas are
    minutes. `rate` is how many calls a second each group of the API takes, 50 at Nylas.
    `connectors` are the providers that have a ready one; with none it is as a fresh application at Nylas.
    """
    deliveries = Deliveries(Courier(aiohttp.ClientSession()), retry_waits)
    state = State(Options(latency_ms, api_key, client_id, webhook_secret, seed, rate, tuple(connectors)), deliveries)
    runner = web.AppRunner(application(state), access_log=None, shutdown_timeout=PATIENCE)
    try:
        await runner.setup()
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except BaseException:
        await deliveries.close()
        await runner.cleanup()
        raise
    return Running(host, runner.addresses[0][1], state, runner)


def serve(
    *,
    host: str,
    port: int,
    latency_ms: int = 0,
    api_key: str | None = None,
    client_id: str | None = None,
    webhook_secret: str | None = None,
    seed: int | None = None,
    rate: int | None = None,
    connectors: Sequence[str] = READY_MADE,
) -> None:
    """Serve until SIGTERM or SIGINT."""

    async def until_told() -> None:
        running = await start(
            host=host,
            port=port,
            latency_ms=latency_ms,
            api_key=api_key,
            client_id=client_id,
            webhook_secret=webhook_secret,
            seed=seed,
            rate=rate,
            connectors=connectors,
        )
        told = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, told.set)
        sys.stderr.write(f"simulator listens on {running.url}\n")
        sys.stderr.flush()
        await told.wait()
        await running.stop()

    # A million grants are seeded at once and stay: looking through them for garbage would be a second's silence.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(until_told())


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where there is one, as on Windows there is none."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
