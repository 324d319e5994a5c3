"""Grants at the simulator: lists, names, changes, keys."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from simulator import start


async def seed(nylas: httpx.AsyncClient, count: int, **more: str | bool) -> list[str]:
    ids: list[str] = (await nylas.post("/_sim/seed", json={"grants": count, **more})).json()["grants"]
    return ids


async def listed(nylas: httpx.AsyncClient, **params: str | int) -> list[dict[str, Any]]:
    answer = await nylas.get("/v3/grants", params=params)
    assert answer.status_code == 200, answer.text
    grants: list[dict[str, Any]] = answer.json()["data"]
    return grants


async def custom(nylas: httpx.AsyncClient, provider: str, **settings: str) -> httpx.Response:
    return await nylas.post("/v3/connect/custom", json={"provider": provider, "settings": settings})


async def test_pages_cover_all_grants_newest_first(nylas: httpx.AsyncClient) -> None:
    ids = await seed(nylas, 25)

    pages = [await listed(nylas, offset=offset) for offset in (0, 10, 20, 30)]

    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [grant["id"] for page in pages for grant in page] == ids[::-1]
    assert len({grant["created_at"] for page in pages for grant in page}) == 25


async def test_a_list_tells_its_limit_and_offset_and_a_request_id(nylas: httpx.AsyncClient) -> None:
    answer = await nylas.get("/v3/grants", params={"limit": 200, "offset": 3})

    assert (answer.json()["limit"], answer.json()["offset"]) == (200, 3)
    assert UUID(answer.json()["request_id"]).version == 4
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


@pytest.mark.parametrize("wrong", [{"limit": 201}, {"limit": 0}, {"offset": -1}, {"sort_by": "email"}])
async def test_a_list_out_of_bounds_is_refused(nylas: httpx.AsyncClient, wrong: dict[str, str | int]) -> None:
    assert (await nylas.get("/v3/grants", params=wrong)).status_code == 400


async def test_the_last_to_sign_in_leads_the_list_by_update(nylas: httpx.AsyncClient) -> None:
    ids = await seed(nylas, 3, provider="microsoft")
    oldest = (await nylas.get(f"/v3/grants/{ids[0]}")).json()["data"]

    await custom(nylas, "microsoft", email_address=oldest["email"], credential_id="c")

    by_update = [grant["id"] for grant in await listed(nylas, sort_by="updated_at")]
    assert by_update == [ids[0], ids[2], ids[1]]
    assert [grant["id"] for grant in await listed(nylas, order_by="asc")] == ids


async def test_filters_narrow_the_list_and_times_are_about_creation(nylas: httpx.AsyncClient) -> None:
    google = await seed(nylas, 3)
    dead = await seed(nylas, 2, provider="imap", status="invalid", email_domain="other.example")
    second = (await nylas.get(f"/v3/grants/{google[1]}")).json()["data"]
    at = second["created_at"]

    async def ids(**params: str | int) -> list[str]:
        return [grant["id"] for grant in await listed(nylas, order_by="asc", **params)]

    assert await ids(provider="google") == google
    assert await ids(grant_status="invalid") == dead
    assert await ids(grant_status="invalid", limit=1, offset=1) == dead[1:]
    assert await ids(grant_status="invalid", provider="google") == []
    assert await ids(email=second["email"].upper()) == [second["id"]]
    assert await ids(email=second["email"], provider="imap") == []
    assert await ids(since=at) == google[1:]
    assert await ids(before=at) == dead + google[:2]
    assert await ids(since=at, before=at, sort_by="updated_at") == [google[1]]


async def test_a_grant_is_found_by_each_of_its_names(nylas: httpx.AsyncClient) -> None:
    [grant_id] = await seed(nylas, 1)
    email = (await listed(nylas))[0]["email"]

    for name in (grant_id, f"grant:{grant_id}", email, f"email:{email}"):
        assert (await nylas.get(f"/v3/grants/{name}")).json()["data"]["id"] == grant_id
    missing = await nylas.get("/v3/grants/nobody")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "grant.not_found")


async def test_a_deleted_grant_is_gone_and_its_user_gets_another_id(nylas: httpx.AsyncClient) -> None:
    first = (await custom(nylas, "virtual-calendar", email="room 1")).json()["data"]["id"]

    gone = await nylas.delete(f"/v3/grants/{first}")

    assert (gone.status_code, gone.json().keys()) == (200, {"request_id"})
    assert (await nylas.get(f"/v3/grants/{first}")).status_code == 404
    assert (await nylas.delete(f"/v3/grants/{first}")).status_code == 404
    assert (await custom(nylas, "virtual-calendar", email="room 1")).json()["data"]["id"] != first


async def test_a_patch_replaces_what_it_names_and_heals(nylas: httpx.AsyncClient) -> None:
    [grant_id] = await seed(nylas, 1, status="invalid")

    healed = await nylas.patch(f"/v3/grants/{grant_id}", json={"settings": {"refresh_token": "new"}})
    scoped = await nylas.patch(f"/v3/grants/{grant_id}", json={"scope": ["openid"]})
    refused = await nylas.patch(f"/v3/grants/{grant_id}", json={"settings": {"refresh_token": "revoked"}})

    assert (healed.json()["data"]["grant_status"], healed.json()["data"]["settings"]) == ("valid", {})
    assert scoped.json()["data"]["scope"] == ["openid"]
    assert refused.json()["error"]["provider_error"]["error"] == "invalid_grant"


async def test_rare_filters_find_their_grants(nylas: httpx.AsyncClient) -> None:
    plain, spaced = await seed(nylas, 2), await seed(nylas, 2, workspace_id="w")
    migrated = await seed(nylas, 3, migrated=True)
    accounts = [grant["account_id"] for grant in await listed(nylas, order_by="asc") if "account_id" in grant]

    async def ids(**params: str | int) -> list[str]:
        return [grant["id"] for grant in await listed(nylas, order_by="asc", **params)]

    assert await ids(workspace_id="w") == spaced
    assert await ids(account_id=accounts[1]) == [migrated[1]]
    assert await ids(account_ids=f"{accounts[0]},{accounts[2]},nobody") == [migrated[0], migrated[2]]
    assert await ids(account_ids=accounts[0], provider="imap") == []
    assert await ids(ip="203.0.113.9") == []
    assert set(await ids()) == {*plain, *spaced, *migrated}


async def test_the_few_that_are_invalid_are_listed_in_order_with_pages_and_bounds(nylas: httpx.AsyncClient) -> None:
    ids = await seed(nylas, 30)
    ailing = ids[3:30:9]
    for grant in ailing:
        await nylas.post(f"/_sim/grants/{grant}/expire")
    at = (await nylas.get(f"/v3/grants/{ailing[1]}")).json()["data"]["created_at"]

    async def invalid(**params: str | int) -> list[str]:
        return [grant["id"] for grant in await listed(nylas, grant_status="invalid", **params)]

    assert await invalid() == ailing[::-1]
    assert await invalid(limit=1, offset=1) == [ailing[1]]
    assert await invalid(order_by="asc", sort_by="updated_at", since=at) == ailing[1:]
    assert await invalid(before=at - 1) == ailing[:1]
    await custom(nylas, "google", refresh_token="t:user000004@example.com")
    assert ailing[0] not in await invalid()
    await nylas.post(f"/_sim/grants/{ids[0]}/expire")
    await nylas.delete(f"/v3/grants/{ailing[1]}")
    assert await invalid() == [ailing[2], ids[0]]


async def test_aliases_are_shown_on_demand_where_the_provider_has_them(nylas: httpx.AsyncClient) -> None:
    [google], [imap] = await seed(nylas, 1), await seed(nylas, 1, provider="imap")

    async def aliases(grant: str, **params: str) -> list[str] | None:
        found: list[str] | None = (
            (await nylas.get(f"/v3/grants/{grant}", params=params)).json()["data"].get("email_aliases")
        )
        return found

    assert await aliases(google, expose_aliases="true") == ["user000001.alias@example.com", "u.alias@example.com"]
    assert await aliases(google) is None
    assert await aliases(imap, expose_aliases="true") is None


async def test_calls_need_a_key_and_a_named_key_is_the_only_one() -> None:
    sim = await start(api_key="right")
    try:
        async with httpx.AsyncClient(base_url=sim.url) as http:
            for headers, status in [
                ({}, 401),
                ({"Authorization": "Bearer wrong"}, 401),
                ({"Authorization": "Basic right"}, 401),
                ({"Authorization": "Bearer right"}, 200),
            ]:
                assert (await http.get("/v3/grants", headers=headers)).status_code == status
    finally:
        await sim.stop()


async def test_a_hundred_thousand_grants_are_seeded_and_paged_quickly(nylas: httpx.AsyncClient) -> None:
    answer = await nylas.post("/_sim/seed", json={"grants": 100_000}, timeout=20)

    assert len(set(answer.json()["grants"])) == 100_000
    assert len(await listed(nylas, limit=200, offset=99_900)) == 100
