"""`evergrant credentials`: secrets go in by files, never come out, and are tried before they are let loose."""

import json
from pathlib import Path

import httpx
import pytest

from simulator import Running
from simulator.connectors import Credential
from tests.campaigning import work
from tests.in_process import Command
from tests.installed import PUBLIC_URL, evergrant, file, migrated
from tests.stories import at_nylas, fails, seed

__all__ = ["evergrant", "migrated"]

SECRET = "s3cret-of-the-client"
KEY = {
    "type": "service_account",
    "private_key_id": "key-1",
    "private_key": "-----BEGIN PRIVATE KEY-----\nTOPSECRET\n-----END PRIVATE KEY-----\n",
    "client_email": "robot@project.iam.gserviceaccount.com",
    "project_id": "project",
}


def kept(sim: Running, provider: str, name: str) -> Credential:
    """The credential as Nylas holds it, with its data."""
    [found] = [one for one in sim.state.connectors.by_provider[provider].credentials.values() if one.name == name]
    return found


@pytest.mark.parametrize(
    ("provider", "options", "kind", "data"),
    [
        ("google", ["--key-file", "KEY"], "serviceaccount", KEY),
        ("google", ["--client-id", "a", "--client-secret-file", "SECRET"], "connector", ["client_id", "client_secret"]),
        ("microsoft", ["--tenant", "t"], "adminconsent", ["tenant"]),
        (
            "microsoft",
            ["--client-id", "a", "--client-secret-file", "SECRET", "--tenant", "t"],
            "adminconsent",
            ["client_id", "client_secret", "tenant"],
        ),
        (
            "microsoft",
            ["--type", "connector", "--client-id", "a", "--client-secret-file", "SECRET"],
            "connector",
            ["client_id", "client_secret"],
        ),
        ("yahoo", ["--client-id", "a", "--client-secret-file", "SECRET"], "connector", ["client_id", "client_secret"]),
    ],
)
async def test_each_provider_gets_the_type_that_makes_sense(
    evergrant: Command,
    sim: Running,
    tmp_path: Path,
    provider: str,
    options: list[str],
    kind: str,
    data: dict[str, str] | list[str],
) -> None:
    files = {"KEY": file(tmp_path, json.dumps(KEY), "key"), "SECRET": file(tmp_path, SECRET)}
    options = [files.get(option, option) for option in options]
    made = await evergrant("credentials", "create", provider, "ours", *options, "--json")
    credential = kept(sim, provider, "ours")
    assert credential.kind == kind
    assert credential.data == data if isinstance(data, dict) else sorted(credential.data) == data
    assert (made.data["id"], made.data["name"], made.data["type"]) == (credential.id, "ours", kind)
    assert made.data["is_active"] is False
    assert SECRET not in made.out + made.err
    assert "TOPSECRET" not in made.out + made.err


async def test_a_key_file_may_come_on_stdin(evergrant: Command, sim: Running) -> None:
    said = await evergrant("credentials", "create", "google", "ours", "--key-file", "-", stdin=json.dumps(KEY))
    assert said.code == 0
    assert kept(sim, "google", "ours").data == KEY


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("imap x --key-file KEY", "'imap' has no credentials at Nylas"),
        ("zoom x --type adminconsent", "--type adminconsent: for zoom it must be connector"),
        ("microsoft x --type serviceaccount", "for microsoft it must be adminconsent or connector"),
        ("google x", "A credential of the type serviceaccount needs --key-file"),
        ("google x --key-file KEY --tenant t", "does not take --tenant"),
        ("google x --type connector --key-file KEY", "A credential of the type connector does not take --key-file"),
        ("microsoft x", "needs --tenant (or --client-id and --client-secret-file)"),
        ("microsoft x --client-id a", "A credential of the type adminconsent needs --client-secret-file"),
        ("yahoo x --client-id a", "A credential of the type connector needs --client-secret-file"),
    ],
)
async def test_options_that_make_no_credential_are_refused(
    evergrant: Command, sim: Running, tmp_path: Path, arguments: str, why: str
) -> None:
    key = file(tmp_path, json.dumps(KEY))
    words = [key if word == "KEY" else word for word in arguments.split()]
    said = await evergrant("credentials", "create", *words)
    assert (said.code, said.out) == (2, "")
    assert why in said.err
    assert sim.state.calls.total == 0


async def test_an_admin_is_told_where_to_consent(evergrant: Command, sim: Running) -> None:
    sim.state.application.register(f"{PUBLIC_URL}/oauth/callback")
    said = await evergrant("credentials", "create", "microsoft", "bulk", "--tenant", "t")
    credential = kept(sim, "microsoft", "bulk")
    assert (said.code, said.out.count("\n")) == (0, 1)
    assert "an administrator of the tenant opens that address and consents" in said.err
    async with httpx.AsyncClient() as browser:
        back = (await browser.get(said.out.strip())).headers["location"]
    assert back.startswith(f"{PUBLIC_URL}/oauth/callback")
    assert "admin_consent=true" in back.lower()
    assert credential.consented

    again = await evergrant("credentials", "create", "microsoft", "bulk", "--tenant", "t", "--json")
    assert again.data["admin_consent_url"] == said.out.strip()


async def test_all_credentials_are_listed_with_the_grants_that_use_them(evergrant: Command, sim: Running) -> None:
    seed(sim, 2, credential_id="cred-1")
    await evergrant("sync")
    listed = (await evergrant("credentials", "list", "--json")).data
    assert {one["provider"] for one in listed} == {"google", "microsoft", "yahoo", "zoom"}
    of_google = (await evergrant("credentials", "list", "google", "--json")).data
    assert of_google == [one for one in listed if one["provider"] == "google"]
    assert {one["id"]: one["grants"] for one in of_google} == {"cred-1": 2, active(sim): 0}
    assert [one["is_active"] for one in of_google] == [True, False]
    missing = await evergrant("credentials", "list", "nylas")
    assert (missing.code, "no connector for 'nylas'" in missing.err) == (1, True)


def active(sim: Running, provider: str = "google") -> str:
    """The id of the connector's default credential."""
    return sim.state.connectors.by_provider[provider].active_credential_id or ""


async def test_a_rotated_credential_is_tried_on_a_grant_that_has_expired(
    evergrant: Command, sim: Running, tmp_path: Path
) -> None:
    [valid] = seed(sim, 1, credential_id="cred-1")
    [expired] = seed(sim, 1, credential_id="cred-1", status="invalid")
    await evergrant("sync")
    options = ("--key-file", file(tmp_path, json.dumps(KEY)), "--check")
    said = await evergrant("credentials", "rotate", "google", "cred-1", *options, "--json")

    assert kept(sim, "google", "cred-1").data == KEY
    assert (said.data["check"], said.data["checked_grant"], said.data["grants"]) == ("ok", expired, 2)
    assert at_nylas(sim, expired).grant_status == "valid"
    assert said.data["next"] == "evergrant reauth --provider google --credential cred-1"
    assert "evergrant reauth --provider google --credential cred-1" in said.err
    assert "TOPSECRET" not in said.out + said.err
    assert sim.state.calls.by_path["POST /v3/connect/custom"] == 1
    assert valid != expired


async def test_one_command_rotates_tries_and_renews_all_by_a_campaign(
    evergrant: Command, sim: Running, tmp_path: Path
) -> None:
    grants = seed(sim, 5, credential_id="cred-1", status="invalid")
    seed(sim, 2, credential_id="cred-2", status="invalid")
    await evergrant("sync")
    options = ("--key-file", file(tmp_path, json.dumps(KEY)), "--renew", "--max-failures", "2")
    said = await evergrant("credentials", "rotate", "google", "cred-1", *options, "--json")

    assert (said.code, said.data["check"]) == (0, "ok")
    shown = await evergrant("campaigns", "show", said.data["campaign_id"], "--json")
    assert (shown.data["status"], shown.data["max_failures"]) == ("planned", "2")
    await work(evergrant)
    shown = await evergrant("campaigns", "show", said.data["campaign_id"], "--json")
    assert (shown.data["status"], shown.data["total"]) == ("finished", 5)
    assert {at_nylas(sim, grant).grant_status for grant in grants} == {"valid"}
    wrong = await evergrant("credentials", "rotate", "google", "cred-1", *options[:3], "--max-failures", "some")
    assert (wrong.code, "neither a share" in wrong.err) == (2, True)


async def test_the_others_are_not_renewed_by_what_does_not_renew_one(
    evergrant: Command, sim: Running, tmp_path: Path
) -> None:
    seed(sim, 3, credential_id="cred-1", status="invalid")
    await evergrant("sync")
    await fails(sim, "/v3/connect/custom", status=400)
    options = ("--key-file", file(tmp_path, json.dumps(KEY)), "--renew")
    said = await evergrant("credentials", "rotate", "google", "cred-1", *options)
    assert (said.code, "Don't renew the others" in said.err) == (1, True)
    assert (await evergrant("campaigns", "list", "--json")).data == []


async def test_a_credential_that_renews_nothing_is_told_of_before_the_rest_is_tried(
    evergrant: Command, sim: Running, tmp_path: Path
) -> None:
    [grant] = seed(sim, 1, credential_id="cred-1", status="invalid")
    await evergrant("sync")
    await fails(sim, "/v3/connect/custom", status=400)
    options = ("--key-file", file(tmp_path, json.dumps(KEY)), "--check")
    said = await evergrant("credentials", "rotate", "google", "cred-1", *options)
    assert said.code == 1
    assert f"✗ It does not renew {at_nylas(sim, grant).email} ({grant}): Nylas answered 400" in said.err
    assert "Don't renew the others before one works" in said.err


async def test_without_a_grant_there_is_nothing_to_try_it_on(evergrant: Command, sim: Running, tmp_path: Path) -> None:
    sim.state.connectors.adopt("google", "cred-1")
    options = ("--key-file", file(tmp_path, json.dumps(KEY)), "--check")
    said = await evergrant("credentials", "rotate", "google", "cred-1", *options)
    assert said.code == 0
    assert "It carries 0 grants that we hold." in said.err
    assert "no grant of it that we hold" in said.err
    assert "evergrant reauth" not in said.err


@pytest.mark.parametrize("provider", ["yahoo", "microsoft"])
async def test_another_oauth_client_can_t_be_tried_without_its_users(
    evergrant: Command, sim: Running, tmp_path: Path, provider: str
) -> None:
    """As the active credential is one, also where the provider has another type."""
    options = ("--client-id", "a", "--client-secret-file", file(tmp_path, SECRET))
    refused = await evergrant("credentials", "rotate", provider, active(sim, provider), *options, "--check")
    assert (refused.code, refused.out) == (2, "")
    assert {call.method for call in sim.state.calls.last} == {"GET"}
    assert "--check can't be" in refused.err
    done = await evergrant("credentials", "rotate", provider, active(sim, provider), *options, "--json")
    assert (done.data["type"], done.data["next"]) == ("connector", None)
    assert "those of another client must be renewed by their users" in done.err


async def test_a_credential_is_deleted_after_saying_how_many_grants_stop(evergrant: Command, sim: Running) -> None:
    seed(sim, 1, credential_id="cred-1")
    await evergrant("sync")
    asked = await evergrant("credentials", "delete", "google", "cred-1")
    assert (asked.code, "cred-1" in sim.state.connectors.by_provider["google"].credentials) == (2, True)
    assert "cred-1 carries 1 grant that we hold; whatever uses it stops at once" in asked.err

    done = await evergrant("credentials", "delete", "google", "cred-1", "--yes", "--json")
    assert done.data == {"id": "cred-1", "provider": "google", "deleted": True, "grants": 1}
    assert "cred-1" not in sim.state.connectors.by_provider["google"].credentials

    gone = await evergrant("credentials", "delete", "google", "cred-1", "--yes")
    assert (gone.code, "evergrant credentials list google" in gone.err) == (1, True)


async def test_the_active_credential_stays_and_the_way_out_is_told(evergrant: Command, sim: Running) -> None:
    said = await evergrant("credentials", "delete", "google", active(sim), "--yes")
    assert (said.code, said.out) == (1, "")
    assert "evergrant connectors update google --active-credential ID" in said.err
