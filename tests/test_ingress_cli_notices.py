"""The commands `endpoints` and `notices`: set up, tried, looked at, and brought back after being given up."""

import secrets
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from models import HeldBy, NoticeKind, Outcome
from models.database import Database
from models.sealing import Keyring
from simulator import Running
from tasks.context import Context
from tests.conftest import Rings, SetClock
from tests.front import told
from tests.in_process import Command
from tests.receiving import Product, a_notice, a_product, deliveries, reaching, told_at, work


@pytest.fixture
async def product() -> AsyncIterator[Product]:
    """A product."""
    async with a_product() as product:
        yield product


@pytest.fixture
def settings(tmp_path: Path, database_url: str, sim: Running) -> dict[str, str]:
    """The settings of an installation on the database of the test, that may send to this machine."""
    return told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url, NOTICE_ALLOW_PRIVATE="true")


@pytest.fixture
async def reach(ctx: Context, settings: dict[str, str]) -> AsyncIterator[Context]:
    """A worker of the same installation."""
    keys = Keyring([b64decode(settings["SECRET_KEYS"])])
    async with reaching(replace(ctx, keys=keys)) as reach:
        yield reach


@pytest.fixture
def evergrant(settings: dict[str, str], reach: Context) -> Command:
    """The command, of the installation whose worker it is."""
    return Command(settings)


async def test_an_endpoint_is_added_with_a_secret_that_is_shown_once_tried_and_removed(
    evergrant: Command, product: Product
) -> None:
    added = (await evergrant("endpoints", "add", product.url, "--kind", "grant.expired", "--json")).data
    product.secret = added["secret"]
    assert product.secret.startswith("whsec_")
    [listed] = (await evergrant("endpoints", "list", "--json")).data
    assert (listed["url"], listed["kinds"], listed["status"], listed["source"]) == (
        product.url,
        "grant.expired",
        "active",
        "cli",
    )
    assert "secret" not in listed

    tried = await evergrant("endpoints", "test", "--json")
    assert [(row["taken"], row["http_status"]) for row in tried.data] == [(True, 200)]
    assert product.kinds == ["evergrant.test"]
    assert product.of("evergrant.test") == [{"endpoint_id": added["endpoint_id"]}]

    assert (await evergrant("endpoints", "remove", product.url, "--yes")).code == 0
    assert (await evergrant("endpoints", "list", "--json")).data == []
    [removed] = (await evergrant("endpoints", "list", "--all", "--json")).data
    assert removed["status"] == "removed"


async def test_a_secret_of_ones_own_comes_from_a_file_and_is_not_shown(evergrant: Command, product: Product) -> None:
    said = await evergrant("endpoints", "add", product.url, "--secret-file", "-", stdin=product.secret)
    assert said.code == 0
    assert product.secret not in said.out + said.err
    assert (await evergrant("endpoints", "test")).code == 0


async def test_an_endpoint_that_does_not_take_the_test_says_why(evergrant: Command, product: Product) -> None:
    await evergrant("endpoints", "add", product.url, "--secret-file", "-", stdin=product.secret)
    product.secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
    said = await evergrant("endpoints", "test", product.url)
    assert said.code == 1
    assert "it answered 401: does it verify by the secret of this endpoint?" in said.out


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (("add", "http://127.0.0.1:1/x", "--kind", "grant.vanished"), "", "no notices of the kind 'grant.vanished'"),
        (("add", "ftp://127.0.0.1/x"), "", "must be a URL such as"),
        (("add", "https://a.example/x", "--secret-file", "-"), "whsec_c2hvcnQ=", "24 to 64 random bytes"),
        (("add", "https://set.example/x", "--kind", "grant.expired"), "", "is EVERGRANT_NOTICE_URL"),
        (("remove", "https://set.example/x", "--yes"), "", "comes from the settings"),
        (("remove", "https://nobody.example/x", "--yes"), "", "No endpoint has the id or the URL"),
    ],
)
async def test_what_can_not_be_is_refused_in_words(
    evergrant: Command, arguments: tuple[str, ...], stdin: str, says: str
) -> None:
    secret = "whsec_" + b64encode(bytes(32)).decode()
    said = await evergrant(
        "endpoints", *arguments, stdin=stdin, NOTICE_URL="https://set.example/x", NOTICE_SECRET=secret
    )
    assert said.code in (1, 2)
    assert says in said.err
    assert "c2hvcnQ" not in said.err


async def test_private_addresses_are_refused_unless_they_are_allowed(evergrant: Command, product: Product) -> None:
    said = await evergrant("endpoints", "add", product.url, NOTICE_ALLOW_PRIVATE="false")
    assert (said.code, "must be https" in said.err) == (2, True)
    https = product.url.replace("http:", "https:")
    await evergrant("endpoints", "add", https, NOTICE_ALLOW_PRIVATE="false")
    said = await evergrant("endpoints", "test", NOTICE_ALLOW_PRIVATE="false")
    assert said.code == 1
    assert "not public" in said.out
    assert product.calls == []


async def test_notices_are_listed_by_how_far_they_are(
    evergrant: Command, reach: Context, rings: Rings, product: Product, clock: SetClock
) -> None:
    skipped = await a_notice(reach, NoticeKind.INCIDENT_OPENED)
    await work(reach, rings)
    await told_at(reach, product)
    product.by_kind["incident.closed"] = 422
    sent = await a_notice(reach, NoticeKind.CAMPAIGN_FINISHED)
    under_way = await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    held = await a_notice(reach, NoticeKind.DELETED, held_by=HeldBy.BRAKE)
    planned = await a_notice(reach, NoticeKind.VALID, due_at=clock() + timedelta(days=1))
    await work(reach, rings)
    given_up = await a_notice(reach, NoticeKind.INCIDENT_CLOSED, outcome=Outcome.SET_ASIDE, settled_at=clock())

    listed = (await evergrant("notices", "list", "--json")).data
    assert {row["notice_id"]: row["status"] for row in listed} == {
        str(skipped.id): "skipped",
        str(sent.id): "delivered",
        str(under_way.id): "under_way",
        str(held.id): "held",
        str(planned.id): "planned",
        str(given_up.id): "set_aside",
    }
    [row] = (await evergrant("notices", "list", "--status", "held", "--json")).data
    assert (row["notice_id"], row["held_by"]) == (str(held.id), "brake")
    [row] = (await evergrant("notices", "list", "--kind", "incident.opened", "--json")).data
    assert row["reason"] == "no endpoint is set up"

    shown = (await evergrant("notices", "show", str(under_way.id), "--json")).data
    [way] = shown["deliveries"]
    assert (way["endpoint"], way["outcome"], way["http_status"], way["reason"]) == (
        product.url,
        "open",
        422,
        "it answered 422",
    )
    assert (await evergrant("notices", "show", str(under_way.id))).code == 0
    assert (await evergrant("notices", "list", "--kind", "x")).code == 2


async def test_what_was_given_up_is_sent_again(
    evergrant: Command, reach: Context, rings: Rings, product: Product, clock: SetClock
) -> None:
    await told_at(reach, product)
    product.always = 422
    sent = [await a_notice(reach, NoticeKind.INCIDENT_CLOSED) for _ in range(2)]
    await work(reach, rings)
    clock.forward(days=4)
    await work(reach, rings)
    assert {row.outcome for row in await deliveries(reach)} == {Outcome.SET_ASIDE}

    product.always = 200
    said = await evergrant("notices", "retry", str(sent[0].id), "--json")
    assert said.data == {"due_again": 1}
    clock.forward(minutes=1)
    await work(reach, rings)
    assert [event["id"] for event in product.took] == [str(sent[0].id)]
    said = await evergrant("notices", "retry", "--set-aside", "--yes", "--json")
    assert said.data == {"due_again": 1}
    assert (await evergrant("notices", "retry", str(sent[0].id))).code == 1
    assert (await evergrant("notices", "retry")).code == 2
    clock.forward(minutes=1)
    await work(reach, rings)
    assert len(product.took) == 2


async def test_a_notice_at_which_our_code_failed_comes_back_unless_another_of_its_kind_is_open(
    evergrant: Command, reach: Context, rings: Rings, product: Product, clock: SetClock
) -> None:
    spoilt = await a_notice(reach, NoticeKind.INCIDENT_CLOSED, outcome=Outcome.SET_ASIDE, settled_at=clock())
    assert (await evergrant("notices", "retry", str(spoilt.id), "--json")).data == {"due_again": 1}
    await told_at(reach, product)
    clock.forward(minutes=1)
    await work(reach, rings)
    assert product.kinds == ["incident.closed"]


async def test_the_endpoint_of_the_settings_is_there_and_a_command_without_them_does_not_remove_it(
    evergrant: Command, reach: Context, database: Database, product: Product
) -> None:
    [listed] = (
        await evergrant("endpoints", "list", "--json", NOTICE_URL=product.url, NOTICE_SECRET=product.secret)
    ).data
    assert (listed["url"], listed["source"]) == (product.url, "settings")
    [listed] = (await evergrant("endpoints", "list", "--json")).data
    assert listed["status"] == "active"
    assert (await evergrant("endpoints", "test")).code == 0
