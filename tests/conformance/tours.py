"""The runs: each client in its turn, through a recorder, at a simulator of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache

from simulator import start
from tests.conformance import client_admin, client_auth, node_sdk, our_client, python_admin, python_auth, python_sdk
from tests.conformance.recorder import Recorder
from tests.conformance.tour import API_KEY, CLIENT_ID, Tour


@cache
def client_tour() -> Tour:
    """Run our own client, once for this process."""
    steps = [*client_auth.STEPS, *client_admin.STEPS]
    return asyncio.run(_recorded(lambda url: our_client.run(url, steps)))


@cache
def python_tour() -> Tour:
    """Run Nylas' Python SDK, once for this process."""
    steps = [*python_auth.STEPS, *python_admin.STEPS]
    return asyncio.run(_recorded(lambda url: asyncio.to_thread(python_sdk.run, url, steps)))


@cache
def node_tour() -> Tour:
    """Run Nylas' Node SDK, once for this process. Raises NoNode where it can't be had."""
    node_sdk.installed()
    return asyncio.run(_recorded(node_sdk.run))


async def _recorded(run: Callable[[str], Awaitable[Tour]]) -> Tour:
    simulator = await start(api_key=API_KEY, client_id=CLIENT_ID, retry_waits=(0.05, 0.1))
    try:
        async with Recorder(simulator.url).listening() as recorder:
            done = await run(recorder.url)
            done.exchanges = recorder.exchanges
            return done
    finally:
        await simulator.stop()
