"""Connectors: how an application reaches each provider."""

from collections.abc import Sequence
from typing import TypeAlias

from pydantic import Field, SecretStr

from nylas_api.conversation import Conversation
from nylas_api.lenient import (
    Answer,
    Fields,
    MaybeText,
    Said,
    Text,
    Words,
    read_many,
    read_nothing,
    read_one,
)
from nylas_api.paging import items
from nylas_api.request import MOST_PER_PAGE, Request, page_of, step
from nylas_api.sent import Sent

CONNECTORS_PATH = "/v3/connectors"
"""`/v3/integrations` is what some texts of early 2024 call it."""


class Connector(Said):
    """A connector as Nylas describes it; of its settings only what is no secret. Only `provider` is insisted on."""

    provider: Text
    name: MaybeText = None
    settings: Fields = Field(default_factory=dict)
    scope: Words = ()
    active_credential_id: MaybeText = None


class GoogleApp(Sent):
    """The OAuth client of a Google Cloud project; `topic_name` is the Pub/Sub topic that Gmail's changes come by."""

    client_id: str
    client_secret: SecretStr = Field(min_length=1)
    topic_name: str | None = None


class MicrosoftApp(Sent):
    """An application registered in Microsoft Entra ID (Azure); `tenant` is an id, or `common` for all."""

    client_id: str
    client_secret: SecretStr = Field(min_length=1)
    tenant: str | None = None


class OAuthApp(Sent):
    """The OAuth client at Yahoo or Zoom."""

    client_id: str
    client_secret: SecretStr = Field(min_length=1)


class NoApp(Sent):
    """Of a provider that asks for no client: ews wants this to be said, the others nothing."""


ConnectorSettings: TypeAlias = GoogleApp | MicrosoftApp | OAuthApp | NoApp

APP_OF: dict[str, type[ConnectorSettings]] = {
    "google": GoogleApp,
    "microsoft": MicrosoftApp,
    "yahoo": OAuthApp,
    "zoom": OAuthApp,
    "ews": NoApp,
}
"""What a provider wants to be told; the providers that aren't here want nothing."""


class Connectors:
    """Nylas' `/v3/connectors`: one for each provider, whose name is its key. Every call may raise any NylasError.

    NotFound says that the application has no connector for the provider.
    """

    def __init__(self, conversation: Conversation, *, path: str) -> None:
        """`path` is where Nylas keeps them."""
        self._conversation = conversation
        self._path = path

    async def list(self, *, limit: int = MOST_PER_PAGE, offset: int = 0) -> Answer[tuple[Connector, ...]]:
        """Look at the connectors (GET /v3/connectors): there are no more than providers."""
        request = Request("GET", self._path, "connectors", read_many(Connector), params=page_of(limit, offset))
        return items(await self._conversation.ask(request))

    async def get(self, provider: str) -> Answer[Connector]:
        """Look at one connector (GET /v3/connectors/{provider})."""
        return await self._conversation.ask(Request("GET", self._at(provider), "connectors", read_one(Connector)))

    async def create(
        self,
        provider: str,
        *,
        settings: ConnectorSettings | None = None,
        scope: Sequence[str] = (),
        name: str | None = None,
    ) -> Answer[Connector]:
        """Make a connector, and with it its default credential (POST /v3/connectors).

        `scope` is what users are asked for unless a sign-in asks for something else. Rejected if there
        is one already, or the application is a sandbox. Not repeated after a lost answer: look first.
        """
        body = {"provider": provider, **_body(settings, scope or None, name)}
        secrets = settings.secrets() if settings else ()
        request = Request(
            "POST", self._path, "connectors", read_one(Connector), json=body, repeatable=False, secrets=secrets
        )
        return await self._conversation.ask(request)

    async def update(
        self,
        provider: str,
        *,
        settings: ConnectorSettings | None = None,
        scope: Sequence[str] | None = None,
        name: str | None = None,
        active_credential_id: str | None = None,
    ) -> Answer[Connector]:
        """Change what is given (PATCH /v3/connectors/{provider}); settings and scopes are replaced whole.

        New scopes concern later sign-ins: who signed in before must sign in again to grant them.
        """
        body = _body(settings, scope, name)
        body |= {"active_credential_id": active_credential_id} if active_credential_id else {}
        secrets = settings.secrets() if settings else ()
        request = Request("PATCH", self._at(provider), "connectors", read_one(Connector), json=body, secrets=secrets)
        return await self._conversation.ask(request)

    async def delete(self, provider: str) -> Answer[None]:
        """Delete a connector and its credentials (DELETE /v3/connectors/{provider}): all its grants stop at once."""
        return await self._conversation.ask(Request("DELETE", self._at(provider), "connectors", read_nothing))

    def _at(self, provider: str) -> str:
        return f"{self._path}/{step('provider', provider)}"


def _body(settings: ConnectorSettings | None, scope: Sequence[str] | None, name: str | None) -> dict[str, object]:
    told = {
        "settings": settings.body() if settings else None,
        "scope": list(scope) if scope is not None else None,
        "name": name,
    }
    return {key: value for key, value in told.items() if value is not None}
