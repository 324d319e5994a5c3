"""Deliveries of the simulator: signed, retried, twice, late, jumbled, and to destinations that fail for long."""

import asyncio
import json

import httpx
import pytest

from simulator import Running
from tests.listening import Product, delivered, listening, signature
from tests.simulated import grant, http, product, sim

__all__ = ["grant", "http", "product", "sim"]


async def test_an_expiry_is_told_and_signed(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    answer = (await http.post(f"/_sim/grants/{grant}/expire")).json()
    log = await delivered(http)

    [(headers, body)] = product.got
    event = json.loads(body)
    assert headers["x-nylas-signature"] == signature(body, "s3cret")
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


async def test_a_compressed_delivery_is_signed_over_the_gzip(http: httpx.AsyncClient, product: Product) -> None:
    hook = {"url": product.url, "secret": "s3cret", "compressed": True, "trigger_types": ["grant.created"]}
    await http.post("/_sim/webhooks", json=hook)

    await http.post("/v3/connect/custom", json={"provider": "virtual-calendar", "settings": {"email": "r"}})
    await delivered(http)

    [(headers, body)] = product.got
    assert headers["content-encoding"] == "gzip"
    assert headers["x-nylas-signature"] == signature(body, "s3cret")
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
    assert all(headers["x-nylas-signature"] == signature(body, "s3cret") for headers, body in product.got)


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


async def test_stopping_calls_back_what_waits_for_a_retry(http: httpx.AsyncClient, sim: Running) -> None:
    await http.post("/_sim/webhooks", json={"url": "http://127.0.0.1:1/nobody"})
    await http.post("/_sim/delivery", json={"retry_waits_ms": [60_000]})
    [grant] = (await http.post("/_sim/seed", json={"grants": 1})).json()["grants"]

    await http.post(f"/_sim/grants/{grant}/expire")
    await asyncio.sleep(0.05)

    [attempt] = (await http.get("/_sim/deliveries")).json()["deliveries"]
    assert (attempt["status"], attempt["outcome"]) == (None, "no answer")


async def test_the_waits_of_nylas_are_minutes_and_end_when_time_is_moved(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    product.answers = [503, 503]
    await http.post("/_sim/delivery", json={"time_scale": 1})
    await http.post(f"/_sim/grants/{grant}/expire")
    await asyncio.sleep(0.05)

    assert [event["webhook_delivery_attempt"] for event in product.events] == [1]
    for attempt in (2, 3):
        await http.post("/_sim/clock", json={"forward_s": 12 * 60})
        await product.heard(attempt)
    first, _, third = await delivered(http)
    assert 10 * 60 <= third["at"] - first["at"] <= 25 * 60


async def test_after_a_429_nylas_waits_as_long_as_it_is_told(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    product.answers, product.retry_after = [429], "3600"
    await http.post(f"/_sim/grants/{grant}/expire")
    await asyncio.sleep(0.1)
    assert len(product.got) == 1

    await http.post("/_sim/clock", json={"forward_s": 3600})

    assert len(await delivered(http)) == 2


async def test_a_redirect_is_no_200(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    product.answers = [302]

    await http.post(f"/_sim/grants/{grant}/expire")

    assert [one["outcome"] for one in await delivered(http)] == ["refused"]


@pytest.mark.parametrize(("retry_to_all", "more"), [(True, [2]), (False, [])])
async def test_a_retry_may_go_to_every_destination_of_its_type(
    http: httpx.AsyncClient, grant: str, product: Product, retry_to_all: bool, more: list[int]
) -> None:
    async with listening() as other:
        await http.post("/_sim/webhooks", json={"url": other.url})
        await http.post("/_sim/delivery", json={"retry_to_all": retry_to_all})
        product.answers = [503]

        await http.post(f"/_sim/grants/{grant}/expire")
        await delivered(http)

        assert [event["webhook_delivery_attempt"] for event in product.events] == [1, 2]
        assert [event["webhook_delivery_attempt"] for event in other.events] == [1, *more]
