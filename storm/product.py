"""A product that is told by notices: a process of its own, whose books outlive it."""

import argparse
import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


class Product:
    """It verifies each notice, writes it down, and only then says that it has it."""

    def __init__(self, secret: str, books: Path) -> None:
        self._webhook, self._books = Webhook(secret), books
        lines = books.read_text().splitlines() if books.exists() else []
        self.heard: list[dict[str, Any]] = [json.loads(line) for line in lines]

    async def told(self, request: web.Request) -> web.Response:
        """Take a notice; one that is not signed by Evergrant is noted, and refused."""
        body = await request.read()
        named = {name.lower(): value for name, value in request.headers.items()}
        entry: dict[str, Any] = {"id": named.get("webhook-id", ""), "at": datetime.now(UTC).isoformat()}
        try:
            self._webhook.verify(body, named)
        except WebhookVerificationError:
            self._write(entry | {"signed": False})
            return web.Response(status=401)
        notice = json.loads(body)
        data = notice["data"]
        about = {name: data.get(name) for name in ("grant_id", "sequence", "status")}
        self._write(entry | {"signed": True, "kind": notice["type"], **about})
        return web.Response()

    async def books(self, request: web.Request) -> web.Response:
        """Show what was heard, from an entry on."""
        return web.json_response({"heard": self.heard[int(request.query.get("from", "0")) :], "all": len(self.heard)})

    def _write(self, entry: dict[str, Any]) -> None:
        with self._books.open("a") as books:
            books.write(json.dumps(entry) + "\n")
        self.heard.append(entry)


async def serve(port: int, secret: str, books: Path) -> None:
    """Serve until ended."""
    product = Product(secret, books)
    app = web.Application()
    app.router.add_post("/notices", product.told)
    app.router.add_get("/books", product.books)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve on a port, with the secret of the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--books", type=Path, required=True)
    told = parser.parse_args()
    uvloop.run(serve(told.port, os.environ["STORM_SECRET"], told.books))


if __name__ == "__main__":
    main()
