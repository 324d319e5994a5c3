"""Webhooks of the simulator: handshake, signature, retries, and events that come twice, late or jumbled."""

import asyncio
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from simulator import Running, start


class Product:
    """A product that listens: it keeps what it gets, and answers as it was told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.echo = True

    async def challenged(self, request: web.Request) -> web.Response:
        value = request.query["challenge"]
        return web.Response(text=value if self.echo else f'"{value}"')

    async def told(self, request: web.Request) -> web.Response:
        self.got.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [
            json.loads(gzip.decompress(body) if "content-encoding" in headers else body) for headers, body in self.got
        ]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


@pytest.fixture
async def product() -> Product:
    return Product()


@pytest.fixture
async def hook_url(product: Product) -> AsyncIterator[str]:
    # auto_decompress would undo the bytes that were signed
    app = web.Application()
    app.router.add_get("/hook", product.challenged)
    app.router.add_post("/hook", product.told)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    running = await start(retry_waits=(0.02, 0.04))
    yield running
    await running.stop()


@pytest.fixture
async def http(sim: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sim.url, headers={"Authorization": "Bearer key"}) as client:
        yield client


@pytest.fixture
async def grant(http: httpx.AsyncClient, hook_url: str) -> str:
    """A grant of google, with the product listening under the secret `s3cret`."""
    await http.post("/_sim/webhooks", json={"url": hook_url, "secret": "s3cret"})
    grant: str = (await http.post("/_sim/seed", json={"grants": 1})).json()["grants"][0]
    return grant


async def delivered(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Wait until nothing is under way, and return the log of attempts."""
    body = (await http.get("/_sim/deliveries", params={"wait": 4})).json()
    assert body["pending"] == 0
    log: list[dict[str, Any]] = body["deliveries"]
    return log


def signature(body: bytes) -> str:
    return hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()


async def test_an_expiry_is_told_and_signed(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    answer = (await http.post(f"/_sim/grants/{grant}/expire")).json()
    log = await delivered(http)

    [(headers, body)] = product.got
    event = json.loads(body)
    assert headers["x-nylas-signature"] == signature(body)
    assert event == answer["event"]
    assert (event["type"], event["source"], event["webhook_delivery_attempt"]) == (
        *("grant.expired", "/nylas/system", 1),
    )
    assert event["data"]["object"]["code"] == 25009
    assert event["data"]["object"]["grant_updated_at"] == answer["grant"]["updated_at"]
    assert answer["grant"]["grant_status"] == "invalid"
    assert [(one["id"], one["attempt"], one["status"], one["grant_id"]) for one in log] == [
        (answer["delivery_id"], 1, 200, grant)
    ]


async def test_a_compressed_delivery_is_signed_over_the_gzip(
    http: httpx.AsyncClient, hook_url: str, product: Product
) -> None:
    hook = {"url": hook_url, "secret": "s3cret", "compressed": True, "trigger_types": ["grant.created"]}
    await http.post("/_sim/webhooks", json=hook)

    await http.post("/v3/connect/custom", json={"provider": "virtual-calendar", "settings": {"email": "r"}})
    await delivered(http)

    [(headers, body)] = product.got
    assert headers["content-encoding"] == "gzip"
    assert headers["x-nylas-signature"] == signature(body)
    assert product.events[0]["data"]["object"]["email"] == "r"


async def test_the_life_of_a_grant_is_told_in_order(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    login = {"provider": "imap", "settings": {"imap_username": "ada@example.com", "imap_password": "p"}}
    made = (await http.post("/v3/connect/custom", json=login)).json()["data"]["id"]
    await http.post("/v3/connect/custom", json=login)
    await http.patch(f"/v3/grants/{made}", json={"scope": []})
    await http.delete(f"/v3/grants/{made}")
    await delivered(http)

    about = [event["data"]["object"] for event in product.events]
    assert product.kinds == ["grant.created", "grant.updated", "grant.updated", "grant.deleted"]
    assert [one["code"] for one in about] == [25012, 25027, 25014, 25013]
    assert [one.get("reauthentication_flag") for one in about] == [None, True, False, None]
    assert {one["grant_id"] for one in about} == {made}


async def test_a_hosted_sign_in_names_its_login(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    params = {"client_id": "app", "redirect_uri": "https://app/cb", "response_type": "code"}
    back = await http.get("/v3/connect/auth", params=params)
    code = httpx.URL(back.headers["location"]).params["code"]
    body = {"grant_type": "authorization_code", "client_id": "app", "client_secret": "key", "code": code}
    await http.post("/v3/connect/token", json={**body, "redirect_uri": "https://app/cb"})
    await delivered(http)

    assert product.events[0]["data"]["object"]["login_id"]


async def test_a_503_is_tried_again_and_each_attempt_has_its_own_signature(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    product.answers = [503, 429]

    await http.post(f"/_sim/grants/{grant}/expire")
    log = await delivered(http)

    assert [(one["attempt"], one["status"]) for one in log] == [(1, 503), (2, 429), (3, 200)]
    assert [event["webhook_delivery_attempt"] for event in product.events] == [1, 2, 3]
    assert len({event["id"] for event in product.events}) == 1
    assert all(headers["x-nylas-signature"] == signature(body) for headers, body in product.got)


async def test_after_three_attempts_an_event_is_given_up(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    product.answers = [503] * 5

    await http.post(f"/_sim/grants/{grant}/expire")

    assert len(await delivered(http)) == 3


@pytest.mark.parametrize("status", [500, 401, 204])
async def test_other_failures_are_never_tried_again(
    http: httpx.AsyncClient, grant: str, product: Product, status: int
) -> None:
    product.answers = [status]

    await http.post(f"/_sim/grants/{grant}/expire")

    assert [one["status"] for one in await delivered(http)] == [status]


async def test_an_event_can_come_twice_late_or_not_at_all(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    await http.post(f"/_sim/grants/{grant}/expire", json={"times": 2, "delay_ms": 30})
    assert product.got == []
    await delivered(http)
    assert len(product.got) == 2
    assert len({event["id"] for event in product.events}) == 1

    await http.post(f"/_sim/grants/{grant}/expire", json={"send": False})
    await delivered(http)
    assert len(product.got) == 2


async def test_an_event_held_back_comes_when_it_is_released(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    held = (await http.post(f"/_sim/grants/{grant}/expire", json={"hold": True})).json()["delivery_id"]
    await http.patch(f"/v3/grants/{grant}", json={"settings": {"refresh_token": "new"}})
    assert (await http.get("/_sim/deliveries")).json()["held"] == [held]

    await http.post(f"/_sim/deliveries/{held}/release")
    await delivered(http)

    assert product.kinds == ["grant.updated", "grant.expired"]
    assert (await http.post(f"/_sim/deliveries/{held}/release")).status_code == 404


async def test_any_event_can_be_told_of_several_grants_out_of_order(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    wanted = {"type": ["grant.created", "grant.expired"], "grant_id": [grant, "unheard-of"]}
    answer = await http.post("/_sim/events", json={**wanted, "order": "shuffled", "object": {"x": 1}})
    await delivered(http)

    sent = [event["id"] for event in product.events]
    assert sorted(sent) == sorted(answer.json()["delivery_ids"])
    assert sent != answer.json()["delivery_ids"]
    assert {event["data"]["object"]["grant_id"] for event in product.events} == {grant, "unheard-of"}
    assert (await http.get(f"/v3/grants/{grant}")).json()["data"]["grant_status"] == "valid"


@pytest.mark.parametrize(("mode", "order"), [("drop", ""), ("double", "0011"), ("reorder", "10"), ("delay", "01")])
async def test_deliveries_go_as_they_are_told_to(
    http: httpx.AsyncClient, grant: str, product: Product, mode: str, order: str
) -> None:
    await http.post("/_sim/delivery", json={"mode": mode, "delay_ms": 30})

    ids = [(await http.post(f"/_sim/grants/{grant}/expire")).json()["delivery_id"] for _ in range(2)]
    log = await delivered(http)

    assert "".join(str(ids.index(event["id"])) for event in product.events) == order
    assert log if mode != "drop" else {one["outcome"] for one in log} == {"dropped"}


async def test_a_webhook_must_give_the_challenge_back_exactly(
    http: httpx.AsyncClient, hook_url: str, product: Product
) -> None:
    wanted = {"webhook_url": hook_url, "trigger_types": ["grant.expired"], "description": "d"}

    made = await http.post("/v3/webhooks", json=wanted)
    product.echo = False
    quoted = await http.post("/v3/webhooks", json=wanted)
    absent = await http.post("/v3/webhooks", json={**wanted, "webhook_url": hook_url + "/no"})

    assert made.status_code == 200
    assert made.json()["data"]["webhook_secret"]
    assert (quoted.status_code, quoted.json()["error"]["type"]) == (400, "70005")
    assert absent.json()["error"]["message"] == "unable.verify.webhook_url : status is not ok, got 404"
    assert len((await http.get("/v3/webhooks")).json()["data"]) == 1


async def test_a_webhook_is_read_paused_and_deleted(http: httpx.AsyncClient, grant: str) -> None:
    [hook] = (await http.get("/v3/webhooks")).json()["data"]
    path = f"/v3/webhooks/{hook['id']}"

    assert "webhook_secret" not in hook
    assert (await http.put(path, json={"status": "pause"})).json()["data"]["status"] == "pause"
    await http.post(f"/_sim/grants/{grant}/expire")
    assert await delivered(http) == []
    assert (await http.put(path, json={"status": "active"})).json()["data"]["status"] == "active"
    assert (await http.delete(path)).json()["data"] == {"status": "success"}
    missing = await http.get(path)
    assert (missing.status_code, missing.json()["error"]["type"]) == (400, "70000")


async def test_the_secret_can_be_fixed_beforehand(hook_url: str) -> None:
    sim = await start(webhook_secret="known")
    try:
        async with httpx.AsyncClient(base_url=sim.url) as http:
            made = await http.post("/_sim/webhooks", json={"url": hook_url})
            assert made.json()["webhook_secret"] == "known"
    finally:
        await sim.stop()


async def test_stopping_calls_back_what_waits_for_a_retry(http: httpx.AsyncClient, sim: Running) -> None:
    await http.post("/_sim/webhooks", json={"url": "http://127.0.0.1:1/nobody"})
    await http.post("/_sim/delivery", json={"retry_waits_ms": [60_000]})
    [grant] = (await http.post("/_sim/seed", json={"grants": 1})).json()["grants"]

    await http.post(f"/_sim/grants/{grant}/expire")
    await asyncio.sleep(0.05)

    [attempt] = (await http.get("/_sim/deliveries")).json()["deliveries"]
    assert (attempt["status"], attempt["outcome"]) == (None, "no answer")
