"""What docs/simulator.md says, held against a simulator that runs."""

import json
import re
import shlex
from typing import Any

import httpx
import pytest

from simulator import Running, deliveries, faults
from simulator.control.routes import CONTROL
from simulator.limiter import Limits
from tests.commands import leaf
from tests.conftest import API_KEY, CLIENT_ID
from tests.listening import listening
from tests.simulated import http
from tests.test_compose import ROOT, blocks, rows

__all__ = ["http"]

PAGE = (ROOT / "docs" / "simulator.md").read_text()
TABLE = {path.strip("`"): (body.strip("`"), does, says) for path, body, does, says in rows(PAGE, "Bend it: `/_sim`")}
TAKE_A_BODY = {path: json.loads(body) for path, (body, _, _) in TABLE.items() if body.startswith("{")}
ROUTES = {f"{method} {path}" for method, path, _ in CONTROL}
SIGN_IN = {"client_id": CLIENT_ID, "redirect_uri": "https://app.example.com/back", "response_type": "code"}
HERE = "http://127.0.0.1:8090"
PRODUCT = "http://127.0.0.1:8000/webhooks/nylas"


async def ask(http: httpx.AsyncClient, route: str, body: object = None, ref: str = "") -> httpx.Response:
    """Call a path of the control as the page spells it."""
    method, path = route.split()
    return await http.request(method, path.replace("{id}", ref), json={} if body is None else body)


async def something_for(http: httpx.AsyncClient, route: str) -> str:
    """Return an id that this path can be about."""
    match route.split("/")[2:]:
        case ["consent", "{id}"]:
            await ask(http, "POST /_sim/consent", {"mode": "page"})
            page = (await http.get("/v3/connect/auth", params=SIGN_IN)).text
            [waiting] = re.findall(r'action="/_sim/consent/([^"]+)"', page)
            return str(waiting)
        case ["deliveries", "{id}", "release"]:
            held = await ask(http, "POST /_sim/grants/{id}/expire", {"hold": True}, await a_grant(http))
            return str(held.json()["delivery_id"])
        case ["grants", "{id}", *_]:
            return await a_grant(http)
        case _:
            return "any"


async def a_grant(http: httpx.AsyncClient) -> str:
    return str((await ask(http, "POST /_sim/seed", {"grants": 1})).json()["grants"][0])


def command_options() -> dict[str, Any]:
    command, _ = leaf(["simulator"])
    return {param.opts[0]: param.default for param in command.params if param.name != "help"}


def test_the_table_has_each_path_of_the_control_and_no_other() -> None:
    assert set(TABLE) == ROUTES


def test_whatever_else_the_page_says_of_the_control_is_a_path_of_it() -> None:
    shapes = {re.sub(r"\{id\}", "[^/]+", route.split()[1]) for route in ROUTES}
    spelt = [found.rstrip(".") for found in re.findall(r"(?<=[`0 ])/_sim/[^\s`?']+", PAGE)]

    assert len(spelt) > len(TABLE)
    assert [path for path in spelt if not any(re.fullmatch(shape, path) for shape in shapes)] == []


def test_the_options_are_those_of_the_command_and_so_are_their_defaults() -> None:
    told = {option.strip("`"): default.strip("`") for option, default, _ in rows(PAGE, "Start it")}
    known = command_options()

    assert set(told) == set(known)
    for option in ("--host", "--port", "--latency-ms"):
        assert told[option] == str(known[option])
    [typed] = [line for line in "".join(blocks(PAGE, "sh")).splitlines() if line.startswith("evergrant ")]
    command, arguments = leaf(shlex.split(typed)[1:])
    command.make_context(command.name, arguments)


def test_each_link_of_the_page_leads_to_a_heading_of_it() -> None:
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", PAGE)

    assert links
    assert {link.removeprefix("#") for link in links} <= headings


def test_each_mode_is_named() -> None:
    table = [mode for modes, _ in rows(PAGE, "Faults") for mode in re.findall(r"`(\w+)`", modes)]

    assert sorted(table) == sorted(faults.MODES)
    assert [mode for mode in deliveries.MODES if f"`{mode}`" not in PAGE.partition("## Deliveries")[2]] == []
    assert [str(status) for status in deliveries.RETRIED if str(status) not in PAGE.partition("## Deliveries")[2]] == []


def test_each_limit_is_named_with_its_default() -> None:
    assert TAKE_A_BODY["POST /_sim/limits"] == Limits().view()


@pytest.mark.parametrize("route", TABLE)
async def test_each_path_takes_its_body_as_shown_and_answers_what_the_page_says(
    http: httpx.AsyncClient, route: str
) -> None:
    answer = await ask(http, route, TAKE_A_BODY.get(route), await something_for(http, route))

    says = TABLE[route][2]
    if says.startswith("302"):
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(SIGN_IN["redirect_uri"])
        return
    assert answer.status_code == 200, answer.text
    named, fields = set(re.findall(r"`(\w+)`", says)), set(answer.json())
    assert (named < fields) if says.endswith("…") else (named == fields)


@pytest.mark.parametrize("route", TAKE_A_BODY)
async def test_what_is_needed_is_marked_so_and_the_rest_can_be_left_out(http: httpx.AsyncClient, route: str) -> None:
    answer = await ask(http, route, {}, await something_for(http, route))

    assert (answer.status_code == 400) == ("needed" in TABLE[route][1])


@pytest.mark.parametrize("route", ["POST /_sim/delivery", "POST /_sim/limits", "POST /_sim/grants/{id}/block"])
async def test_the_defaults_shown_are_those_of_an_empty_body(http: httpx.AsyncClient, route: str) -> None:
    ref = await something_for(http, route)
    left_out = await ask(http, route, {}, ref)

    assert (await ask(http, route, TAKE_A_BODY[route], ref)).json() == left_out.json()


async def test_the_calls_that_the_page_shows_do_what_it_says(http: httpx.AsyncClient, sim: Running) -> None:
    """Nylas tells the product twice, in the order in which the page has it; and then two reads fail."""
    lines = [shlex.split(line) for line in "".join(blocks(PAGE, "sh")).splitlines() if line.startswith("curl")]
    assert len(lines) >= 5
    async with listening() as product:
        for _, *words in lines:
            url = words[-1].replace(HERE, sim.url)
            body = json.loads(words[1].replace(PRODUCT, product.url)) if words[0] == "-d" else None
            answer = await (http.get(url) if body is None else http.post(url, json=body))
            assert answer.status_code == 200, words

        assert product.kinds == ["grant.expired"] * 2
        assert [one["outcome"] for one in answer.json()["deliveries"]] == ["delivered"] * 2
    key = {"Authorization": f"Bearer {API_KEY}"}
    reads = [await http.get("/v3/grants/user000001@example.com", headers=key) for _ in range(3)]
    assert [read.status_code for read in reads] == [503, 503, 200]


async def test_the_example_for_tests_of_your_own_runs() -> None:
    [example] = blocks(PAGE, "python")
    names: dict[str, Any] = {}
    imports = "import asyncio\nfrom nylas import Client\nfrom simulator import start\n"
    exec(imports + example, names)  # noqa: S102 - it is our own page

    await names["test_a_token_makes_a_grant"]()
