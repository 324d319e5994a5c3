"""The storm's courier and its users come again until they are taken in, and its product keeps what it is told."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from nylas_api import signature_matches
from storm.courier import Courier
from storm.people import People
from storm.product import Product
from tasks.notices.secrets import new_secret

SECRET = "webhook-secret"
EVENT = {"id": "e1", "type": "grant.updated", "data": {}}


@asynccontextmanager
async def serving(path: str, handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server of one path on a port of its own."""
    app = web.Application()
    app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


class Front:
    """A front door that answers as it was told to, and keeps what was signed rightly."""

    def __init__(self, *answers: int) -> None:
        self.answers, self.bodies = list(answers), list[bytes]()

    async def take(self, request: web.Request) -> web.Response:
        """Take a webhook."""
        body = await request.read()
        assert signature_matches([SECRET], body, request.headers["x-nylas-signature"])
        self.bodies.append(body)
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    courier = Courier("", SECRET)
    yield courier
    await courier.close()


async def test_a_webhook_that_is_refused_comes_again_until_it_is_taken(courier: Courier) -> None:
    front = Front(503, 503)
    async with serving("/webhooks/nylas", front.take) as courier.web:
        await courier.bring(EVENT)

    assert (len(front.bodies), courier.refused, list(courier.sent)) == (3, {"503": 2}, ["e1"])
    assert [one.taken for one in courier.answered] == [False, False, True]


async def test_a_doubled_webhook_comes_twice_and_differs_in_the_attempt(courier: Courier) -> None:
    front = Front()
    async with serving("/webhooks/nylas", front.take) as courier.web:
        await courier.bring(EVENT, doubled=True)

    assert sorted(json.loads(body)["webhook_delivery_attempt"] for body in front.bodies) == [1, 2]
    assert list(courier.sent) == ["e1"]


async def test_poison_is_known_by_its_hash(courier: Courier) -> None:
    async with serving("/webhooks/nylas", Front().take) as courier.web:
        await courier.bring_poison(b"[[[[")

    [sent] = courier.sent.values()
    assert (sent.poison, len(sent.id)) == (True, 64)


@pytest.mark.parametrize(("last_pages", "departures"), [((503, 503, 200), 1), ((400, 202), 2)])
async def test_a_user_asks_again_for_a_page_that_does_not_come_and_begins_anew_where_one_refuses(
    last_pages: tuple[int, ...], departures: int
) -> None:
    gone, answers = list[str](), list(last_pages)

    async def hop(request: web.Request) -> web.Response:
        if request.path == "/callback":
            return web.Response(status=answers.pop(0))
        gone.append(request.path)
        onward = "/nylas" if request.path == "/connect/google" else f"/callback?code=c{len(gone)}"
        return web.Response(status=302, headers={"location": f"http://{request.host}{onward}"})

    async with serving("/{any:.*}", hop) as url:
        people = People(url)
        assert await people.sign_in("ada@example.com")

    assert (gone.count("/connect/google"), len(people.codes), people.sent_back) == (
        departures,
        departures,
        departures - 1,
    )
    assert (answers, people.finished, people.given_up, people.under_way) == ([], 1, 0, 0)


async def _tell(url: str, secret: str, id: str) -> int:
    body = json.dumps({"type": "grant.valid", "data": {"grant_id": "g", "sequence": 1, "status": "valid"}})
    now = datetime.now(UTC)
    headers = {"webhook-id": id, "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Webhook(secret).sign(id, now, body)
    async with aiohttp.ClientSession() as session, session.post(f"{url}/notices", data=body, headers=headers) as answer:
        return answer.status


async def test_what_a_product_has_heard_outlives_it(tmp_path: Path) -> None:
    secret, books = new_secret(), tmp_path / "books.jsonl"
    async with serving("/notices", Product(secret, books).told) as url:
        assert await _tell(url, secret, "n1") == 200

    [heard] = Product(secret, books).heard
    assert (heard["id"], heard["kind"], heard["sequence"], heard["signed"]) == ("n1", "grant.valid", 1, True)


async def test_a_notice_that_is_signed_by_somebody_else_is_refused_and_noted(tmp_path: Path) -> None:
    product = Product(new_secret(), tmp_path / "books.jsonl")
    async with serving("/notices", product.told) as url:
        assert await _tell(url, new_secret(), "n1") == 401

    assert [entry["signed"] for entry in product.heard] == [False]
