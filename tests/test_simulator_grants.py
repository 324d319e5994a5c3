"""Grants at the simulator: lists, custom authentication, keys."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from simulator import start


async def seed(nylas: httpx.AsyncClient, count: int, **more: str) -> list[str]:
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


@pytest.mark.parametrize(
    ("provider", "settings", "email"),
    [
        ("google", {"refresh_token": "t:ada@example.com"}, "ada@example.com"),
        ("microsoft", {"refresh_token": "t:ada@example.com"}, "ada@example.com"),
        ("yahoo", {"refresh_token": "t:ada@example.com"}, "ada@example.com"),
        ("zoom", {"refresh_token": "t:ada@example.com"}, "ada@example.com"),
        ("google", {"email_address": "ada@example.com", "credential_id": "c"}, "ada@example.com"),
        ("microsoft", {"email_address": "ada@example.com", "credential_id": "c"}, "ada@example.com"),
        ("imap", {"imap_username": "ada@example.com", "imap_password": "p"}, "ada@example.com"),
        ("icloud", {"username": "ada@example.com", "password": "p"}, "ada@example.com"),
        ("virtual-calendar", {"email": "floor3-room12"}, "floor3-room12"),
        (
            "ews",
            {"email": "ada@example.com", "ews_username": "ada", "ews_password": "p", "ews_host": "h"},
            "ada@example.com",
        ),
    ],
)
async def test_each_provider_has_its_way_in_and_a_second_time_renews(
    nylas: httpx.AsyncClient, provider: str, settings: dict[str, str], email: str
) -> None:
    first, second = await custom(nylas, provider, **settings), await custom(nylas, provider, **settings)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["data"]["email"] == email
    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    assert not {"refresh_token", "password", "imap_password", "ews_password"} & set(first.json()["data"]["settings"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "api.invalid_request_payload"),
        (b"{}", "grant.provider_required"),
        (b'{"provider": "pigeon", "settings": {}}', "invalid_request_error"),
        (b'{"provider": "google"}', "invalid_request_error"),
        (b'{"provider": "google", "settings": {"email_address": "a@b.c"}}', "invalid_request_error"),
        (b'{"provider": "zoom", "settings": {"refresh_token": "revoked-yesterday"}}', "bad_request"),
    ],
)
async def test_what_custom_auth_cannot_use_is_refused(nylas: httpx.AsyncClient, body: bytes, kind: str) -> None:
    answer = await nylas.post("/v3/connect/custom", content=body)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, kind)


async def test_a_broken_credential_fails_in_bulk_until_it_is_repaired(nylas: httpx.AsyncClient) -> None:
    [grant_id] = await seed(nylas, 1, credential_id="cred")
    bulk = {"email_address": "user000001@example.com", "credential_id": "cred"}

    broken = await nylas.post("/_sim/credentials/cred/break", json={"expire_grants": True})
    refused = await custom(nylas, "google", **bulk)
    await nylas.post("/_sim/credentials/cred/repair")
    taken = await custom(nylas, "google", **bulk)

    assert broken.json()["expired"] == [grant_id]
    assert refused.status_code == 400
    assert refused.json()["error"]["provider_error"] == {
        "error": "invalid_grant",
        "provider_error": "Bad Request",
    }
    assert (taken.status_code, taken.json()["data"]["id"]) == (201, grant_id)


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
