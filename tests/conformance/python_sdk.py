"""The tour of Nylas' Python SDK: the visitor that its steps are given, and the run of them all."""

import inspect
import traceback
from collections.abc import Callable
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from nylas import Client
from nylas.models.auth import CodeExchangeResponse

from tests.conformance.tour import API_KEY, CLIENT_ID, EMAIL, REDIRECT_URI, Outcome, Tour

PARTS = (
    *("auth", "grants", "connectors", "connectors.credentials"),
    *("applications", "applications.redirect_uris", "webhooks"),
)


class Visitor:
    """Holds the SDK's client, and calls its methods by name, so that the record knows them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.nylas = Client(API_KEY, api_uri=url)
        self.called: set[str] = set()
        self._browser = requests.Session()

    def __call__(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the SDK, such as `grants.find`."""
        self.called.add(method)
        self._browser.put(f"{self.url}/_calling/{method}")
        return attrgetter(method)(self.nylas)(*args, **options)

    def control(self, path: str, body: dict[str, Any]) -> Any:
        """Tell the simulator something."""
        answered = self._browser.post(f"{self.url}/_sim/{path}", json=body)
        answered.raise_for_status()
        return answered.json()

    def browse(self, address: str) -> dict[str, str]:
        """Open an address as a user's browser would, and return what the callback is given."""
        answered = self._browser.get(address, allow_redirects=False)
        assert answered.status_code == 302, answered.text
        location = answered.headers["Location"]
        assert location.startswith(f"{REDIRECT_URI}?")
        return dict(parse_qsl(urlsplit(location).query))

    def sign_in(self, **config: Any) -> CodeExchangeResponse:
        """Take a user through hosted OAuth, and return the tokens."""
        address = self("auth.url_for_oauth2", hosted(**config))
        code = self.browse(address)["code"]
        return self("auth.exchange_code_for_token", exchange(code))

    @property
    def hook(self) -> str:
        """A webhook's address where somebody listens."""
        return f"{self.url}/_hook/python"


def hosted(**more: Any) -> dict[str, Any]:
    """What hosted OAuth is started with; the SDK changes the dict that it is given."""
    return {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "provider": "google", "login_hint": EMAIL, **more}


def exchange(code: str, **more: Any) -> dict[str, Any]:
    """What a code is exchanged with."""
    return {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "code": code, **more}


def methods() -> set[str]:
    """Every public method that the SDK's parts define; those they inherit want a path."""
    client = Client(API_KEY)
    return {
        f"{part}.{name}"
        for part in PARTS
        for name, value in vars(type(attrgetter(part)(client))).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def run(url: str, steps: list[Callable[..., object]]) -> Tour:
    """Take the steps, each at a simulator that was reset, and note what each one says."""
    visitor = Visitor(url)
    done = Tour("Python SDK", methods())
    for step in steps:
        visitor.control("reset", {})
        try:
            step(visitor)
        except Exception:
            done.outcomes.append(Outcome(step.__name__, traceback.format_exc()))
        else:
            done.outcomes.append(Outcome(step.__name__, ""))
    done.called = visitor.called
    return done
