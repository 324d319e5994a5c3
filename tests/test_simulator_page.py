"""The simulator's page, as a browser gets it."""

from html.parser import HTMLParser

import httpx
import pytest

from simulator import Running
from tests.simulated import http, sim

__all__ = ["http", "sim"]


class Seen(HTMLParser):
    """What is on a page: its words, its tags, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


async def seen(http: httpx.AsyncClient, **query: str) -> Seen:
    answer = await http.get("/", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return Seen(answer.text)


async def test_a_fresh_simulator_says_what_it_is_and_where(http: httpx.AsyncClient, sim: Running) -> None:
    page = await seen(http)

    assert {"Nylas simulator", sim.url, "None."} <= set(page.words)
    assert "script" not in page.tags
    assert page.links
    for link in page.links:  # all of them lead to itself
        assert (await http.get(link)).status_code == 200


async def test_the_page_shows_grants_webhooks_faults_and_calls(http: httpx.AsyncClient) -> None:
    await http.post("/_sim/seed", json={"grants": 1200})
    [grant] = (await http.post("/_sim/seed", json={"grants": 1, "status": "invalid"})).json()["grants"]
    await http.post("/_sim/webhooks", json={"url": "https://product.example/hook", "trigger_types": ["grant.expired"]})
    await http.post("/_sim/faults", json={"path": "/v3/grants", "mode": "drop"})
    await http.get(f"/v3/grants/{grant}")
    await http.get("/v3/grants/unheard-of")
    with pytest.raises(httpx.TransportError):
        await http.get("/v3/grants")

    page = await seen(http)

    assert {"1,200", "1", "https://product.example/hook", "grant.expired", "until deleted"} <= set(page.words)
    calls = page.words[page.words.index("Last calls") :]
    assert calls.index("dropped") < calls.index("404") < calls.index("200")  # the last comes first
    assert f"/v3/grants/{grant}" in calls


async def test_only_the_last_hundred_calls_are_shown(http: httpx.AsyncClient) -> None:
    for number in range(103):
        await http.get(f"/v3/grants/number-{number}")

    words = (await seen(http)).words

    assert "/v3/grants/number-3" in words
    assert "/v3/grants/number-2" not in words


async def test_nothing_that_comes_from_outside_becomes_html(http: httpx.AsyncClient) -> None:
    await http.get("/v3/<script>alert(1)</script>")
    await http.post("/_sim/webhooks", json={"url": "http://a.example/<script>", "trigger_types": ["<script>"]})
    await http.post("/_sim/faults", json={"path": "/<script>", "method": "<script>"})
    answer = await http.get("/", headers={"Host": "<script>"})

    page = Seen(answer.text)

    assert "script" not in page.tags
    assert "/v3/<script>alert(1)</script>" in page.words


async def test_the_page_asks_for_itself_again_only_on_demand(http: httpx.AsyncClient) -> None:
    assert 'http-equiv="refresh"' not in (await http.get("/")).text
    assert '<meta http-equiv="refresh" content="2">' in (await http.get("/", params={"refresh": "2"})).text
    assert (await http.get("/", params={"refresh": '2"><script>'})).status_code == 400
