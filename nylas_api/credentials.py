"""Connector credentials: what bulk grants, and sign-ins by another OAuth client, are made with."""

from collections.abc import AsyncIterator
from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field, SecretStr

from nylas_api.conversation import Conversation
from nylas_api.lenient import Answer, Listing, MaybeMoment, MaybeText, Said, Text, read_many, read_nothing, read_one
from nylas_api.paging import MOST_PAGES, each_page, items
from nylas_api.request import MOST_PER_PAGE, Request, page_of, step
from nylas_api.sent import Sent


class Credential(Said):
    """A credential as Nylas describes it: never its data, and seldom its type. Only `id` is insisted on."""

    id: Text
    name: MaybeText = None
    credential_type: MaybeText = None
    created_at: MaybeMoment = None
    updated_at: MaybeMoment = None


class ServiceAccount(Sent):
    """A Google service account with domain-wide delegation: the fields of the key file that Google Cloud gives."""

    model_config = ConfigDict(extra="allow")
    credential_type: ClassVar[str] = "serviceaccount"

    private_key_id: str
    private_key: SecretStr = Field(min_length=1)
    client_email: str


class AdminConsent(Sent):
    """An application of Microsoft Entra ID to which an admin consents for a tenant.

    With `tenant`, of that tenant alone. Without client and secret, those of the connector are used.
    """

    credential_type: ClassVar[str] = "adminconsent"

    client_id: str | None = None
    client_secret: SecretStr | None = Field(default=None, min_length=1)
    tenant: str | None = None


class ConnectorOverride(Sent):
    """Another OAuth client for the same provider; `tenant` for Microsoft, `topic_name` for Google."""

    credential_type: ClassVar[str] = "connector"

    client_id: str
    client_secret: SecretStr = Field(min_length=1)
    tenant: str | None = None
    topic_name: str | None = None


CredentialData: TypeAlias = ServiceAccount | AdminConsent | ConnectorOverride


class Credentials:
    """Nylas' `/v3/connectors/{provider}/creds`. Every call may raise any NylasError."""

    def __init__(self, conversation: Conversation, *, path: str) -> None:
        """`path` is where Nylas keeps the connectors."""
        self._conversation = conversation
        self._path = path

    async def list(
        self,
        provider: str,
        *,
        limit: int = MOST_PER_PAGE,
        offset: int = 0,
        sort_by: Literal["created_at", "updated_at"] = "created_at",
        order_by: Literal["asc", "desc"] = "asc",
    ) -> Answer[tuple[Credential, ...]]:
        """Look at one page of a connector's credentials (GET /v3/connectors/{provider}/creds)."""
        return items(await self._conversation.ask(self._page(provider, limit, offset, sort_by, order_by)))

    async def each_page(
        self, provider: str, *, limit: int = MOST_PER_PAGE, max_pages: int = MOST_PAGES
    ) -> AsyncIterator[Answer[tuple[Credential, ...]]]:
        """Look at all credentials of a connector, oldest first, each once; Garbled if the list has no end."""
        pages = each_page(
            self._conversation,
            lambda offset: self._page(provider, limit, offset, "created_at", "asc"),
            key=lambda credential: credential.id,
            limit=limit,
            max_pages=max_pages,
        )
        async for page in pages:
            yield page

    async def get(self, provider: str, credential_id: str) -> Answer[Credential]:
        """Look at one credential (GET /v3/connectors/{provider}/creds/{id})."""
        return await self._conversation.ask(
            Request("GET", self._at(provider, credential_id), "connectors", read_one(Credential))
        )

    async def create(self, provider: str, *, name: str, data: CredentialData) -> Answer[Credential]:
        """Add a credential (POST /v3/connectors/{provider}/creds); `name` is unique for the connector.

        The same parameters again give the credential that exists, so this is safe to repeat.
        """
        body = {"name": name, "credential_type": data.credential_type, "credential_data": data.body()}
        path = self._at(provider)
        request = Request("POST", path, "connectors", read_one(Credential), json=body, secrets=data.secrets())
        return await self._conversation.ask(request)

    async def update(
        self, provider: str, credential_id: str, *, name: str | None = None, data: CredentialData | None = None
    ) -> Answer[Credential]:
        """Rename a credential, or replace its data whole (PATCH /v3/connectors/{provider}/creds/{id}).

        Nylas doesn't say what becomes of its grants: a bulk re-authentication makes sure.
        """
        body = {"name": name, "credential_data": data.body() if data else None}
        request = Request(
            "PATCH",
            self._at(provider, credential_id),
            "connectors",
            read_one(Credential),
            json={key: value for key, value in body.items() if value is not None},
            secrets=data.secrets() if data else (),
        )
        return await self._conversation.ask(request)

    async def delete(self, provider: str, credential_id: str) -> Answer[None]:
        """Delete a credential (DELETE /v3/connectors/{provider}/creds/{id}): the grants that use it stop at once.

        Rejected for the connector's default one.
        """
        return await self._conversation.ask(
            Request("DELETE", self._at(provider, credential_id), "connectors", read_nothing)
        )

    def _page(
        self, provider: str, limit: int, offset: int, sort_by: str, order_by: str
    ) -> Request[Listing[Credential]]:
        params = page_of(limit, offset) | {"sort_by": sort_by, "order_by": order_by}
        return Request("GET", self._at(provider), "connectors", read_many(Credential), params=params)

    def _at(self, provider: str, credential_id: str | None = None) -> str:
        path = f"{self._path}/{step('provider', provider)}/creds"
        return path if credential_id is None else f"{path}/{step('credential id', credential_id)}"
