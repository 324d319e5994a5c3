"""A product's endpoint: it verifies each notice, and says at what moment it was told of a grant."""

import argparse
import asyncio
import json
import os
import time
from collections import defaultdict

import uvloop
from aiohttp import web
from standardwebhooks import Webhook

PATIENCE = 10.0


class Product:
    """What a product has been told; moments are those of the machine's monotonic clock."""

    def __init__(self, secret: str) -> None:
        """Verify by this secret."""
        self._webhook = Webhook(secret)
        self._told: defaultdict[str, asyncio.Future[float]] = defaultdict(asyncio.get_running_loop().create_future)

    async def told(self, request: web.Request) -> web.Response:
        """Take a notice."""
        now = time.monotonic()
        body = await request.read()
        self._webhook.verify(body, {name.lower(): value for name, value in request.headers.items()})
        notice = json.loads(body)
        told = self._told[f"{notice['type']}/{notice['data'].get('grant_id')}"]
        if not told.done():
            told.set_result(now)
        return web.Response()

    async def when(self, request: web.Request) -> web.Response:
        """Answer with the moment of a notice, when it has come."""
        told = self._told[f"{request.match_info['kind']}/{request.match_info['grant_id']}"]
        async with asyncio.timeout(PATIENCE):
            return web.json_response(await asyncio.shield(told))

    async def forget(self, _request: web.Request) -> web.Response:
        """Forget all that was told: another round tells of the same grants."""
        self._told.clear()
        return web.Response()


async def serve(port: int, secret: str) -> None:
    """Serve until ended."""
    product = Product(secret)
    app = web.Application()
    app.router.add_post("/notices", product.told)
    app.router.add_get("/told/{kind}/{grant_id}", product.when)
    app.router.add_delete("/told", product.forget)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve on a port, with the secret of the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port, os.environ["BENCH_SECRET"]))


if __name__ == "__main__":
    main()
