"""The simulator as its own tests have it: taking any key, quick to try again, with a caller and a product."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulator import Running, start
from tests.listening import Product, at, listening


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    """A simulator that takes any key."""
    running = await start(retry_waits=(0.02, 0.04))
    yield running
    await running.stop()


@pytest.fixture
async def http(sim: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of the simulator, with nothing of ours between."""
    async with at(sim.url) as client:
        yield client


@pytest.fixture
async def product() -> AsyncIterator[Product]:
    """A product that listens."""
    async with listening() as product:
        yield product


@pytest.fixture
async def grant(http: httpx.AsyncClient, product: Product) -> str:
    """A grant of google, with the product listening under the secret `s3cret`."""
    await http.post("/_sim/webhooks", json={"url": product.url, "secret": "s3cret"})
    grant: str = (await http.post("/_sim/seed", json={"grants": 1})).json()["grants"][0]
    return grant
