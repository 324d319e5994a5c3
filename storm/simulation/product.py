"""The product that is told by notices, in this process: it verifies each, and writes it down, or is in trouble."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from storm.simulation.process import current
from tasks.notices.outbound import Answer, Outbound, Unanswered
from tasks.notices.secrets import new_secret

TAKES = 0.01
TROUBLES = ("down", "500", "hears and says 500", "hears and is silent", "refuses")
URL = "https://product.example/evergrant"


class Product:
    """Its books."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.secret, self._now = new_secret(), now
        self._webhook = Webhook(self.secret)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Know of nothing, and be well."""
        self.heard: list[dict[str, Any]] = []
        self.trouble: str | None = None
        self.asked: dict[str, int] = {}

    def hear(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Write a notice down."""
        id, at = headers["webhook-id"], datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        signed = self._webhook.sign(id, at, body.decode()) in headers["webhook-signature"].split(" ")
        notice = json.loads(body)
        about = {name: notice["data"].get(name) for name in ("grant_id", "sequence", "status")}
        entry = {"id": id, "at": self._now().isoformat(), "signed": signed, "kind": notice["type"], **about}
        self.heard.append(entry)


class ToTheProduct(Outbound):
    """The way to it, with a point before and after each notice."""

    def __init__(self, product: Product) -> None:
        super().__init__()
        self._product = product

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a notice. Raises Unanswered."""
        process, product = current.get(), self._product
        if process:
            await process.passes("before a notice")
        await asyncio.sleep(TAKES)
        answer = self._said(product, body, headers)
        if process:
            await process.passes("after a notice")
        if answer is None:
            raise Unanswered("no connection")
        return answer

    @staticmethod
    def _said(product: Product, body: bytes, headers: Mapping[str, str]) -> Answer | None:
        if product.trouble in (None, "hears and says 500", "hears and is silent"):
            product.hear(body, headers)
        match product.trouble:
            case None:
                return Answer(200)
            case "down" | "hears and is silent":
                return None
            case "refuses":
                return Answer(422)
            case _:
                return Answer(500)
