"""A browser at the simulator's hosted OAuth: there, back with a code, and the code's exchange."""

from urllib.parse import parse_qs, urlsplit

import httpx

CALLBACK = "https://app.example.com/oauth/callback"


async def visit(nylas: httpx.AsyncClient, **params: str) -> httpx.Response:
    """Go to the login page as a browser does."""
    wanted = {"client_id": "app", "redirect_uri": CALLBACK, "response_type": "code", **params}
    return await nylas.get("/v3/connect/auth", params=wanted)


def brought_back(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


async def sign_in(nylas: httpx.AsyncClient, **params: str) -> httpx.Response:
    """Go all the way, and return the answer of the exchange."""
    return await exchange(nylas, brought_back(await visit(nylas, **params))["code"])


async def exchange(nylas: httpx.AsyncClient, code: str, **more: str) -> httpx.Response:
    body = {"grant_type": "authorization_code", "client_id": "app", "client_secret": "key", "code": code}
    return await nylas.post("/v3/connect/token", json={**body, "redirect_uri": CALLBACK, **more})
