"""The tour of our own client: the visitor that its steps are given, and the run of them all."""

import inspect
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from nylas_api import HttpClient, NylasClient, TokenAnswer, code_challenge, new_code_verifier, open_http
from tests.conformance.tour import API_KEY, CLIENT_ID, EMAIL, REDIRECT_URI, Outcome, Tour

PARTS = ("auth", "grants", "connectors", "credentials", "applications", "redirect_uris", "webhooks")


class Visitor:
    """Holds our client, and calls its methods by name, so that the record knows them."""

    def __init__(self, url: str, ours: HttpClient, http: httpx.AsyncClient, api_key: str = API_KEY) -> None:
        """Our client goes by `ours`; `http` is for all besides it."""
        self.url = url
        self.ours = ours
        self.http = http
        self.client = NylasClient(api_uri=url, api_key=api_key, client_id=CLIENT_ID, http=ours, attempts=1)
        self.called: set[str] = set()

    async def __call__(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of our client, such as `grants.get`; of pages, return the list."""
        self.called.add(method)
        await self.http.put(f"{self.url}/_calling/{method}")
        result = attrgetter(method)(self.client)(*args, **options)
        if isinstance(result, AsyncIterator):
            return [page async for page in result]
        return await result if isinstance(result, Awaitable) else result

    async def control(self, path: str, body: dict[str, Any]) -> Any:
        """Tell the simulator something."""
        answered = await self.http.post(f"{self.url}/_sim/{path}", json=body)
        answered.raise_for_status()
        return answered.json()

    async def browse(self, address: str) -> dict[str, str]:
        """Open an address as a user's browser would, and return what the callback is given."""
        answered = await self.http.get(address)
        assert answered.status_code == 302, answered.text
        location = answered.headers["Location"]
        assert location.startswith(f"{REDIRECT_URI}?")
        return dict(parse_qsl(urlsplit(location).query))

    async def sign_in(self, **options: Any) -> TokenAnswer:
        """Take a user through hosted OAuth with PKCE, and return the tokens."""
        verifier = new_code_verifier()
        wanted = {"redirect_uri": REDIRECT_URI, "provider": "google", "login_hint": EMAIL, **options}
        back = await self.browse(await self("auth.url", code_challenge=code_challenge(verifier), **wanted))
        exchange = {"code": back["code"], "redirect_uri": REDIRECT_URI, "code_verifier": verifier}
        tokens: TokenAnswer = (await self("auth.exchange_code", **exchange)).data
        return tokens

    @property
    def hook(self) -> str:
        """A webhook's address where somebody listens."""
        return f"{self.url}/_hook/ours"


def methods() -> set[str]:
    """Every public method of our client's parts."""
    client = NylasClient(api_uri="http://localhost", api_key=API_KEY, client_id=CLIENT_ID, http=httpx.AsyncClient())
    return {
        f"{part}.{name}"
        for part in PARTS
        for name, _ in inspect.getmembers(getattr(client, part), inspect.ismethod)
        if not name.startswith("_")
    }


async def run(url: str, steps: list[Callable[..., Any]]) -> Tour:
    """Take the steps, each with a fresh client at a simulator that was reset, and note what each one says."""
    done = Tour("our client", methods())
    async with open_http(connections=10) as ours, httpx.AsyncClient() as http:
        for step in steps:
            visitor = Visitor(url, ours, http)
            await visitor.control("reset", {})
            try:
                await step(visitor)
            except Exception:
                done.outcomes.append(Outcome(step.__name__, traceback.format_exc()))
            else:
                done.outcomes.append(Outcome(step.__name__, ""))
            done.called |= visitor.called
    return done
