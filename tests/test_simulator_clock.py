"""Days that pass at the simulator within a moment: the clock, ids from a seed, webhooks that fail for long."""

from uuid import UUID

import httpx
import pytest

from simulator import Running, start
from simulator.health import Health
from simulator.triggers import CODES
from tests.listening import Product, at, delivered
from tests.simulated import http, product, sim

__all__ = ["http", "product", "sim"]


@pytest.fixture
async def grant(http: httpx.AsyncClient, product: Product) -> str:
    """A grant of google, with the product listening to all about it, mails too."""
    await http.post("/_sim/webhooks", json={"url": product.url, "trigger_types": [*CODES, "message.created"]})
    grant: str = (await http.post("/_sim/seed", json={"grants": 1})).json()["grants"][0]
    return grant


async def test_time_is_moved_forward_and_never_back(http: httpx.AsyncClient) -> None:
    before = (await http.post("/_sim/clock", json={})).json()["now"]
    after = (await http.post("/_sim/clock", json={"forward_s": 3 * 86400})).json()

    assert 3 * 86400 <= after["now"] - before < 3 * 86400 + 60
    for wrong in (-1, 0.5, "1h"):
        assert (await http.post("/_sim/clock", json={"forward_s": wrong})).status_code == 400
    await http.post("/_sim/reset", json={})
    assert (await http.post("/_sim/clock", json={})).json()["ahead_s"] == 0


async def test_what_is_to_come_late_comes_when_time_is_moved(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    await http.post(f"/_sim/grants/{grant}/expire", json={"delay_ms": 3_600_000})
    assert product.got == []

    await http.post("/_sim/clock", json={"forward_s": 3600})
    await delivered(http)

    assert product.kinds == ["grant.expired"]


async def made(http: httpx.AsyncClient) -> list[str]:
    """Let Nylas make an id of each kind; return them."""
    login = {"provider": "imap", "settings": {"imap_username": "ada@example.com", "imap_password": "p"}}
    answer = (await http.post("/v3/connect/custom", json=login)).json()
    hook = (await http.post("/_sim/webhooks", json={"url": "http://127.0.0.1:9/hook"})).json()
    [seeded] = (await http.post("/_sim/seed", json={"grants": 1})).json()["grants"]
    return [answer["data"]["id"], answer["request_id"], hook["id"], hook["webhook_secret"], seeded]


async def test_the_same_seed_and_the_same_calls_give_the_same_ids(http: httpx.AsyncClient) -> None:
    async def after_reset(**how: int) -> list[str]:
        await http.post("/_sim/reset", json=how)
        return await made(http)

    first, again, other = await after_reset(seed=7), await after_reset(seed=7), await after_reset(seed=8)
    chance, more_chance = await after_reset(), await after_reset()

    assert first == again
    assert not set(first) & set(other)
    assert not set(chance) & set(more_chance)
    assert UUID(first[0]).version == UUID(first[1]).version == 4
    assert (await http.post("/_sim/reset", json={"seed": "seven"})).status_code == 400


async def test_a_seed_can_be_given_at_the_start() -> None:
    async def ids_of_a_fresh_start() -> list[str]:
        sim = await start(seed=7)
        try:
            async with at(sim.url) as http:
                return await made(http)
        finally:
            await sim.stop()

    assert await ids_of_a_fresh_start() == await ids_of_a_fresh_start()


async def test_a_destination_that_fails_for_long_is_failing_then_failed_until_it_is_reset(
    http: httpx.AsyncClient, sim: Running, grant: str, product: Product
) -> None:
    [hook] = (await http.get("/v3/webhooks")).json()["data"]
    path = f"/v3/webhooks/{hook['id']}"
    product.always = 500

    async def fails_after(hours: float) -> str:
        await http.post("/_sim/clock", json={"forward_s": int(hours * 3600)})
        before = len(product.got)
        await http.post(f"/_sim/grants/{grant}/expire")
        if (await http.get(path)).json()["data"]["status"] != "failed":
            await http.post("/_sim/clock", json={"forward_s": 600})  # a failing one is given pauses
            await product.heard(before + 1)
        await delivered(http)
        status: str = (await http.get(path)).json()["data"]["status"]
        return status

    assert await fails_after(0) == "active"
    assert await fails_after(0.2) == "failing"
    assert await fails_after(1) == "failing"
    assert await fails_after(72) == "failed"
    told = len(product.got)
    assert await fails_after(24) == "failed"
    assert len(product.got) == told  # and what it misses is never sent

    product.always, product.echo = 200, False
    assert (await http.put(path, json={"status": "active"})).json()["error"]["type"] == "70005"
    product.echo = True
    assert (await http.put(path, json={"status": "active"})).json()["data"]["status"] == "active"
    await http.post(f"/_sim/grants/{grant}/expire")
    await delivered(http)
    assert len(product.got) == told + 1


async def test_a_failing_destination_is_asked_ever_more_rarely() -> None:
    health = Health()
    status = "active"
    for minute in range(20):
        status = health.after(status, good=False, now=60.0 * minute)

    assert status == "failing"
    assert [Health().pause(1.0), health.pause(1.0)] == [0.0, 64.0]
    assert health.after(status, good=True, now=1200.0) == "failing"
    assert health.pause(1.0) == 0.0


def test_five_good_answers_in_a_hundred_keep_a_destination_active() -> None:
    health, status = Health(), "active"
    for minute in range(500):
        status = health.after(status, good=minute % 16 == 15, now=60.0 * minute)

    assert status == "active"


async def reauthenticate(http: httpx.AsyncClient) -> None:
    settings = {"refresh_token": "fresh:user000001@example.com"}
    answer = await http.post("/v3/connect/custom", json={"provider": "google", "settings": settings})
    assert answer.status_code == 201, answer.text


async def mails(http: httpx.AsyncClient, grant: str, count: int) -> None:
    answer = await http.post(f"/_sim/grants/{grant}/mail", json={"count": count})
    assert answer.status_code == 200, answer.text


async def test_each_mail_is_told(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    await mails(http, grant, 2)
    await delivered(http)

    first, second = product.events
    assert (first["type"], first["source"]) == ("message.created", "/google/emails/realtime")
    assert first["data"]["grant_id"] == first["data"]["object"]["grant_id"] == grant
    assert first["data"]["object"]["id"] != second["data"]["object"]["id"]


async def test_within_72_hours_what_was_missed_comes_in_a_burst_after_the_sign_in(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    await http.post(f"/_sim/grants/{grant}/expire")
    await delivered(http)
    await mails(http, grant, 3)
    await http.post("/_sim/clock", json={"forward_s": 71 * 3600})
    assert (await delivered(http))[-1]["type"] == "grant.expired"  # an invalid grant tells nothing
    assert (await http.get(f"/_sim/grants/{grant}")).json()["missed"] == 3

    await reauthenticate(http)
    await delivered(http)

    assert sorted(product.kinds) == ["grant.expired", "grant.updated", *["message.created"] * 3]
    seen = (await http.get(f"/_sim/grants/{grant}")).json()
    assert (seen["missed"], seen["lost"], seen["invalid_since"]) == (0, 0, None)
    await mails(http, grant, 1)
    await delivered(http)
    assert product.kinds.count("message.created") == 4


async def test_after_72_hours_what_was_missed_is_lost(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    await http.post(f"/_sim/grants/{grant}/expire")
    await http.post("/_sim/clock", json={"forward_s": 71 * 3600})
    await mails(http, grant, 3)
    await http.post(f"/_sim/grants/{grant}/expire")  # a second expiry starts no new 72 hours
    await http.post("/_sim/clock", json={"forward_s": 2 * 3600})

    await reauthenticate(http)
    await delivered(http)

    assert "message.created" not in product.kinds
    seen = (await http.get(f"/_sim/grants/{grant}")).json()
    assert (seen["missed"], seen["lost"]) == (0, 3)


async def test_a_grant_repaired_by_patch_gets_what_it_missed(
    http: httpx.AsyncClient, grant: str, product: Product
) -> None:
    await http.post(f"/_sim/grants/{grant}/expire", json={"hold": True})
    await mails(http, grant, 1)

    await http.patch(f"/v3/grants/{grant}", json={"scope": ["openid"]})
    assert (await http.get(f"/_sim/grants/{grant}")).json()["missed"] == 1  # that repairs nothing
    await http.patch(f"/v3/grants/{grant}", json={"settings": {"refresh_token": "new"}})
    await delivered(http)

    assert product.kinds.count("message.created") == 1


async def test_a_deleted_grant_gets_no_mail_any_more(http: httpx.AsyncClient, grant: str, product: Product) -> None:
    await http.post(f"/_sim/grants/{grant}/expire")
    await mails(http, grant, 2)
    await http.delete(f"/v3/grants/{grant}")

    assert (await http.post(f"/_sim/grants/{grant}/mail", json={})).status_code == 404
    assert (await http.get(f"/_sim/grants/{grant}")).status_code == 404
