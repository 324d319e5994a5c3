"""Webhooks of the simulator: the handshake, what can be changed, secrets that rotate, and trials."""

import httpx
import pytest

from simulator import start
from simulator.triggers import TRIED
from tests.listening import Product, delivered, signature
from tests.simulated import grant, http, product, sim

__all__ = ["grant", "http", "product", "sim"]


async def create(http: httpx.AsyncClient, product: Product, **more: object) -> httpx.Response:
    wanted = {"webhook_url": product.url, "trigger_types": ["grant.expired"], **more}
    return await http.post("/v3/webhooks", json=wanted)


async def test_a_webhook_must_give_the_challenge_back_exactly(http: httpx.AsyncClient, product: Product) -> None:
    product.echo = False
    quoted = await create(http, product)
    absent = await create(http, product, webhook_url=product.url + "/no")

    assert (quoted.status_code, quoted.json()["error"]["type"]) == (400, "70005")
    assert absent.json()["error"] == {
        "type": "70005",
        "message": "unable.verify.webhook_url : status is not ok, got 404",
    }
    assert (await http.get("/v3/webhooks")).json()["data"] == []
    assert product.challenges == 1  # nothing is tried a second time


async def test_only_its_creation_shows_the_secret_of_a_webhook(http: httpx.AsyncClient, product: Product) -> None:
    made = (await create(http, product, description="d", notification_email_addresses=["ops@example.com"])).json()
    one = (await http.get(f"/v3/webhooks/{made['data']['id']}")).json()["data"]
    listed = (await http.get("/v3/webhooks")).json()

    secret = made["data"].pop("webhook_secret")
    times = {name: one[name] for name in ("created_at", "updated_at", "status_updated_at")}
    assert made["data"] == one
    assert one == {
        "id": one["id"],
        "description": "d",
        "trigger_types": ["grant.expired"],
        "webhook_url": product.url,
        "status": "active",
        "notification_email_addresses": ["ops@example.com"],
        "compressed_delivery": False,
        **times,
    }
    assert listed == {"request_id": listed["request_id"], "data": [one]}
    assert len(secret) > 20


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"webhook_url": ""}, "70001"),
        ({"trigger_types": []}, "70001"),
        ({"webhook_url": "ftp://product.example"}, "70005"),
        ({"webhook_url": "https://mine.ngrok-free.app/hook"}, "70005"),
        ({"webhook_url": 7}, "70005"),
        ({"webhook_url": "http://["}, "70005"),
        ({"trigger_types": ["grant.revoked"]}, "invalid_request_error"),
        ({"trigger_types": [{}]}, "invalid_request_error"),
        ({"trigger_types": "grant.expired"}, "invalid_request_error"),
        ({"compressed_delivery": "yes"}, "invalid_request_error"),
        ({"notification_email_addresses": "ops@example.com"}, "invalid_request_error"),
    ],
)
async def test_what_cannot_be_a_webhook_is_refused(
    http: httpx.AsyncClient, product: Product, wrong: dict[str, object], kind: str
) -> None:
    refused = await create(http, product, **wrong)

    assert (refused.status_code, refused.json()["error"]["type"]) == (400, kind)
    assert product.challenges == 0


async def test_each_webhook_needs_a_url_of_its_own(http: httpx.AsyncClient, product: Product) -> None:
    await create(http, product)

    assert (await create(http, product)).json()["error"]["type"] == "70005"


async def test_a_webhook_is_read_paused_and_deleted(http: httpx.AsyncClient, grant: str) -> None:
    [hook] = (await http.get("/v3/webhooks")).json()["data"]
    path = f"/v3/webhooks/{hook['id']}"

    assert (await http.put(path, json={"status": "pause"})).json()["data"]["status"] == "pause"
    await http.post(f"/_sim/grants/{grant}/expire")
    assert await delivered(http) == []
    assert (await http.put(path, json={"status": "active"})).json()["data"]["status"] == "active"
    assert (await http.delete(path)).json()["data"] == {"status": "success"}
    assert await delivered(http) == []  # what it missed in the pause is not sent later
    for missing in (await http.get(path), await http.put(path, json={}), await http.delete(path)):
        assert missing.status_code == 400
        assert missing.json()["error"] == {"type": "70000", "message": "destination.id.not.found : record not found"}


async def test_a_put_changes_what_is_named_and_proves_only_a_new_url(http: httpx.AsyncClient, product: Product) -> None:
    made = (await create(http, product, description="d")).json()["data"]
    path, challenges = f"/v3/webhooks/{made['id']}", product.challenges
    changes = {"trigger_types": ["grant.created", "message.created"], "description": "", "compressed_delivery": True}

    changed = (await http.put(path, json=changes)).json()["data"]

    assert (changed["trigger_types"], changed["compressed_delivery"]) == (["grant.created", "message.created"], True)
    assert (changed["description"], changed["webhook_url"]) == ("d", product.url)  # an empty field overwrites nothing
    assert "webhook_secret" not in changed
    assert product.challenges == challenges
    assert (await http.put(path, json={"status": "failed"})).status_code == 400
    product.echo = False
    assert (await http.put(path, json={"webhook_url": product.url + "?2"})).json()["error"]["type"] == "70005"
    assert (await http.get(path)).json()["data"]["webhook_url"] == product.url


@pytest.mark.parametrize(("method", "path"), [("POST", "rotate-secret/{}"), ("PUT", "{}/rotate-secret")])
async def test_a_rotated_secret_signs_at_once(
    http: httpx.AsyncClient, grant: str, product: Product, method: str, path: str
) -> None:
    [hook] = (await http.get("/v3/webhooks")).json()["data"]
    product.answers = [503]
    await http.post("/_sim/delivery", json={"retry_waits_ms": [100]})
    await http.post(f"/_sim/grants/{grant}/expire")
    await product.heard(1)  # still signed with the old one

    rotated = (await http.request(method, f"/v3/webhooks/{path.format(hook['id'])}")).json()["data"]
    await delivered(http)

    new = rotated["webhook_secret"]
    assert [headers["x-nylas-signature"] for headers, _ in product.got] == [
        signature(product.got[0][1], "s3cret"),
        signature(product.got[1][1], new),
    ]
    assert (rotated["id"], rotated["status"], "created_at" in rotated) == (hook["id"], "active", True)
    assert "webhook_secret" not in (await http.get(f"/v3/webhooks/{hook['id']}")).json()["data"]


async def test_the_secret_can_be_fixed_beforehand(product: Product) -> None:
    sim = await start(webhook_secret="known")
    try:
        async with httpx.AsyncClient(base_url=sim.url) as http:
            made = await http.post("/_sim/webhooks", json={"url": product.url})
            assert made.json()["webhook_secret"] == "known"
    finally:
        await sim.stop()


async def test_a_mock_payload_shows_a_type_and_sends_nothing(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    for kind in sorted(TRIED):
        shown = (await http.post("/v3/webhooks/mock-payload", json={"trigger_type": kind})).json()["data"]

        assert shown["type"] == kind
        assert shown["data"]["object"]["grant_id"]
        assert ("grant_id" in shown["data"]) != kind.startswith("grant.")
    assert product.got == []


async def test_a_test_event_is_sent_and_signed_with_the_secret_all_know(
    http: httpx.AsyncClient, product: Product
) -> None:
    wanted = {"trigger_type": "grant.expired", "webhook_url": product.url}
    product.answers = [200, 500]

    taken = await http.post("/v3/webhooks/send-test-event", json=wanted)
    lost = await http.post("/v3/webhooks/send-test-event", json=wanted)

    assert [(answer.status_code, answer.json()["data"]) for answer in (taken, lost)] == [
        (200, "success"),
        (200, "failed"),
    ]
    assert product.kinds == ["grant.expired"] * 2
    assert all(h["x-nylas-signature"] == signature(body, "mock-webhook-secret") for h, body in product.got)


@pytest.mark.parametrize("path", ["mock-payload", "send-test-event"])
@pytest.mark.parametrize("kind", [None, "grant.revoked", "grant.imap_sync_completed", ["grant.created"]])
async def test_only_some_types_can_be_tried(http: httpx.AsyncClient, path: str, kind: object) -> None:
    refused = await http.post(f"/v3/webhooks/{path}", json={"trigger_type": kind, "webhook_url": "http://a.example"})

    assert refused.status_code == 400


async def test_the_addresses_that_events_come_from_are_told(http: httpx.AsyncClient) -> None:
    told = (await http.get("/v3/webhooks/ip-addresses")).json()["data"]

    assert "127.0.0.1" in told["ip_addresses"]
    assert isinstance(told["updated_at"], int)
