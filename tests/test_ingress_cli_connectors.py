"""`evergrant connectors`: what is at Nylas is shown and changed, and nothing stops without being counted first."""

import asyncio
import os
import pty
import sys
from pathlib import Path

import pytest

from simulator import Running
from tests.conftest import API_KEY
from tests.in_process import Command
from tests.installed import evergrant, file, migrated
from tests.stories import fails, seed

__all__ = ["evergrant", "migrated"]

SECRET = "s3cret-of-the-client"


async def test_connectors_are_listed_with_the_grants_that_hang_on_them(evergrant: Command, sim: Running) -> None:
    seed(sim, 3)
    await evergrant("sync")
    listed, shown, table = (
        await evergrant("connectors", "list", "--json"),
        await evergrant("connectors", "show", "microsoft", "--json"),
        await evergrant("connectors", "list"),
    )
    by_provider = {connector["provider"]: connector for connector in listed.data}
    assert by_provider.keys() == sim.state.connectors.by_provider.keys()
    assert (by_provider["google"]["grants"], by_provider["zoom"]["grants"]) == (3, 0)
    assert shown.data == by_provider["microsoft"]
    assert shown.data["tenant"] == "common"
    assert isinstance(shown.data["scope"], list)
    assert "google" in table.out
    assert table.err == ""


@pytest.mark.parametrize("by_stdin", [False, True])
async def test_a_connector_is_made_with_a_secret_that_nobody_sees(
    evergrant: Command, sim: Running, tmp_path: Path, by_stdin: bool
) -> None:
    sim.state.connectors.by_provider.clear()
    path = "-" if by_stdin else file(tmp_path, f"{SECRET}\n")
    made = await evergrant(
        *("connectors", "create", "google", "--client-id", "app", "--client-secret-file", path),
        *("--topic-name", "projects/p/topics/t", "--scope", "openid", "--scope", "email", "--json"),
        stdin=f"{SECRET}\r\n",
    )
    told = sim.state.connectors.by_provider["google"]
    assert told.settings == {"client_id": "app", "client_secret": SECRET, "topic_name": "projects/p/topics/t"}
    assert told.scope == ["openid", "email"]
    assert (made.data["provider"], made.data["scope"]) == ("google", ["openid", "email"])
    assert SECRET not in made.out + made.err


@pytest.mark.parametrize("provider", ["imap", "ews", "icloud", "virtual-calendar"])
async def test_a_provider_without_an_app_needs_nothing_else(evergrant: Command, sim: Running, provider: str) -> None:
    sim.state.connectors.by_provider.clear()
    assert (await evergrant("connectors", "create", provider)).code == 0
    assert list(sim.state.connectors.by_provider) == [provider]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("create gogle", "'gogle' is no provider of Nylas': google, microsoft"),
        ("create google", "google needs --client-id, --client-secret-file"),
        ("create zoom --client-id a", "zoom needs --client-secret-file"),
        ("create google --client-id a --client-secret-file - --tenant t", "google does not take --tenant"),
        ("create imap --client-id a", "imap does not take --client-id"),
        ("create zoom --client-id a --client-secret-file -", "What came on stdin is empty"),
        ("create zoom --client-id= --client-secret-file FILE", "--client-id: String should have at least 1 character"),
        ("update google", "There is nothing to change"),
        ("update microsoft --tenant t", "Say also --client-id, --client-secret-file: Nylas replaces the settings"),
        ("update imap --client-id a --client-secret-file FILE", "imap does not take"),
        ("delete zoom", "say --yes"),
        ("show ..", "that can't be an id"),
        ("create zoom --client-id a --client-secret x", "No such option: --client-secret"),
    ],
)
async def test_what_can_t_be_right_is_refused_before_anything_changes(
    evergrant: Command, sim: Running, tmp_path: Path, arguments: str, why: str
) -> None:
    words = [file(tmp_path, SECRET) if word == "FILE" else word for word in arguments.split()]
    said = await evergrant("connectors", *words)
    assert (said.code, said.out) == (2, "")
    assert why in said.err
    assert {call.method for call in sim.state.calls.last} <= {"GET"}


async def test_the_help_says_why_there_is_no_option_for_a_secret(evergrant: Command) -> None:
    said = await evergrant("connectors", "create", "--help")
    assert "There is no option for the secret itself" in " ".join(said.out.replace("│", " ").split())


async def test_an_update_keeps_what_is_not_given_although_nylas_would_drop_it(
    evergrant: Command, sim: Running, tmp_path: Path
) -> None:
    connector = sim.state.connectors.by_provider["microsoft"]
    connector.settings["tenant"] = "our-tenant"
    options = ("--client-id", "new", "--client-secret-file", file(tmp_path, SECRET))
    said = await evergrant("connectors", "update", "microsoft", *options)
    assert said.code == 0
    assert connector.settings == {"client_id": "new", "client_secret": SECRET, "tenant": "our-tenant"}
    assert "each user must sign in again" in said.err

    scopes = await evergrant("connectors", "update", "microsoft", "--scope", "Mail.Read", "--name", "M", "--json")
    assert (scopes.data["scope"], scopes.data["name"]) == (["Mail.Read"], "M")
    assert "who signed in before must sign in again" in scopes.err
    assert connector.settings["client_secret"] == SECRET


async def test_a_connector_is_deleted_after_saying_how_many_grants_stop(evergrant: Command, sim: Running) -> None:
    seed(sim, 2, provider="microsoft")
    await evergrant("sync")
    refused = await evergrant("connectors", "delete", "microsoft")
    assert (refused.code, "microsoft" in sim.state.connectors.by_provider) == (2, True)
    assert "2 grants that we hold of microsoft will stop at once" in refused.err

    said = await evergrant("connectors", "delete", "microsoft", "--yes", "--json")
    assert said.data == {"provider": "microsoft", "deleted": True, "grants": 2}
    assert "microsoft" not in sim.state.connectors.by_provider

    gone = await evergrant("connectors", "delete", "microsoft", "--yes")
    assert gone.code == 1
    assert "no connector for 'microsoft'. Make one: evergrant connectors create microsoft" in gone.err


@pytest.mark.long
async def test_on_a_terminal_it_asks_and_takes_no_for_an_answer(evergrant: Command, sim: Running) -> None:
    """A process of its own, since it takes a terminal to be asked at."""
    ours, its = pty.openpty()
    try:
        os.write(ours, b"n\n")
        told = {f"EVERGRANT_{name}": value for name, value in evergrant.settings.items()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingress", "connectors", "delete", "zoom"),
            cwd=Path(__file__).parents[1],
            env={"PATH": os.environ["PATH"], **told},
            stdin=its,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
    finally:
        os.close(ours)
        os.close(its)
    assert (process.returncode, out) == (1, b"")
    assert b"Delete the connector of zoom? [y/n] (n):" in err
    assert "zoom" in sim.state.connectors.by_provider


async def test_what_nylas_refuses_is_one_line_with_status_type_and_request_id(
    evergrant: Command, sim: Running, tmp_path: Path
) -> None:
    body = {"request_id": "r-77", "error": {"type": "bad_request", "message": f"{SECRET} is no secret"}}
    await fails(sim, "/v3/connectors", method="POST", status=400, body=body)
    options = ("--client-id", "a", "--client-secret-file", file(tmp_path, SECRET))
    said = await evergrant("connectors", "create", "google", *options)
    assert (said.code, said.out) == (1, "")
    assert said.err == "Nylas answered 400 (bad_request): *** is no secret (request id r-77)"


async def test_an_answer_that_is_lost_is_told_of_as_such(evergrant: Command, sim: Running, tmp_path: Path) -> None:
    sim.state.connectors.by_provider.clear()
    await fails(sim, "/v3/connectors", method="POST", mode="after_effect_drop", count=1)
    said = await evergrant("connectors", "create", "imap")
    assert said.code == 1
    assert "It may have had its effect all the same: look before you do it again." in said.err
    assert "imap" in sim.state.connectors.by_provider


async def test_a_call_that_is_repeated_leaves_nothing_but_data_on_stdout(evergrant: Command, sim: Running) -> None:
    await fails(sim, "/v3/connectors", status=503, count=1)
    said = await evergrant("connectors", "list", "--json")
    assert len(said.data) == len(sim.state.connectors.by_provider)


async def test_a_key_that_nylas_does_not_take_is_not_shown(evergrant: Command) -> None:
    said = await evergrant("connectors", "list", NYLAS_API_KEY="nyk_wrong")
    assert (said.code, said.out) == (1, "")
    assert "Nylas answered 401" in said.err
    assert said.err.endswith("evergrant doctor finds out why.")
    assert "nyk_wrong" not in said.err
    assert API_KEY not in said.err
