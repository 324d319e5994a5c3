"""A tour calls every method of one client, in steps that each begin at a fresh Nylas; here is what tours share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.conformance.recorder import Exchange

API_KEY = "nyk_conformance"
CLIENT_ID = "c0f0c0f0-1111-4222-8333-444444444444"
REDIRECT_URI = "https://app.example.com/callback"
EMAIL = "nyla@example.com"
FAILED_LOGIN = {"error": "invalid_grant", "provider_error": "Bad Request"}

GOOGLE = {
    "provider": "google",
    "settings": {"client_id": "g-client", "client_secret": "g-secret", "topic_name": "projects/p/topics/nylas"},
    "scope": ["openid", "https://www.googleapis.com/auth/userinfo.email"],
}
SERVICE_ACCOUNT = {
    "type": "service_account",
    "private_key_id": "key-1",
    "private_key": "-----BEGIN PRIVATE KEY-----\nnot-a-key\n-----END PRIVATE KEY-----\n",
    "client_email": "robot@project.iam.gserviceaccount.com",
}
ADMIN_CONSENT = {"client_id": "azure-client", "client_secret": "azure-secret", "tenant": "tenant-1"}

Step = TypeVar("Step", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step went; `problem` is empty if all was as expected."""

    step: str
    problem: str


@dataclass(eq=False)
class Tour:
    """What one client did: how its steps went, which methods it called, and what passed over the wire.

    `methods` are those that the client has, so that none is forgotten. A tour equals only itself.
    """

    client: str
    methods: set[str]
    outcomes: list[Outcome] = field(default_factory=list)
    called: set[str] = field(default_factory=set)
    exchanges: list[Exchange] = field(default_factory=list)


class Steps(list[Callable[..., object]]):
    """The steps of a tour, in the order in which they are written; used as a decorator."""

    def __call__(self, step: Step) -> Step:
        """Add a step."""
        self.append(step)
        return step
