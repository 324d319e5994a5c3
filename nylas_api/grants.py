"""Grants: the accounts that users have connected."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal, TypedDict, Unpack

from pydantic import Field

from nylas_api.conversation import Conversation
from nylas_api.lenient import (
    Answer,
    Fields,
    Flag,
    Listing,
    MaybeMoment,
    MaybeText,
    Moment,
    Said,
    Text,
    Words,
    read_many,
    read_nothing,
    read_one,
)
from nylas_api.paging import MOST_PAGES, each_page, items
from nylas_api.provider_settings import ProviderSettings
from nylas_api.request import MOST_PER_PAGE, Request, given, page_of, step


class NylasGrant(Said):
    """A grant as Nylas describes it (Nylas: Grants API, the Grant object).

    Only `id`, `provider` and `created_at` are insisted on: Nylas leaves fields out freely, even the
    email. `updated_at` is the last successful authentication, not the last change.
    """

    id: Text
    provider: Text
    created_at: Moment
    scope: Words = ()
    updated_at: MaybeMoment = None
    grant_status: MaybeText = None
    email: MaybeText = None
    name: MaybeText = None
    provider_user_id: MaybeText = None
    state: MaybeText = None
    settings: Fields = Field(default_factory=dict, repr=False)
    blocked: Flag = False
    credential_id: MaybeText = None
    account_id: MaybeText = None
    workspace_id: MaybeText = None
    email_aliases: Words = ()
    ip: MaybeText = None
    user_agent: MaybeText = None

    @property
    def is_valid(self) -> bool | None:
        """Whether Nylas can use the grant; None if it gave no status, or one we have never heard of."""
        return {"valid": True, "invalid": False}.get(self.grant_status or "")


class GrantFilters(TypedDict, total=False):
    """Which grants to list, and in which order (Nylas: GET /v3/grants); oldest first unless told otherwise.

    `since` and `before` compare the time of *creation*, both inclusive; to find grants that were
    re-authenticated lately, sort by `updated_at` instead. The `provider` filter lags behind by a
    minute or so for new grants. `account_id` and `account_ids` are of Nylas v2.
    """

    sort_by: Literal["created_at", "updated_at"]
    order_by: Literal["asc", "desc"]
    email: str | None
    grant_status: str | None
    provider: str | None
    since: datetime | None
    before: datetime | None
    ip: str | None
    workspace_id: str | None
    account_id: str | None
    account_ids: Sequence[str] | None


class Grants:
    """Nylas' `/v3/grants`. Every call may raise any NylasError; GrantNotFound says that there is none.

    A `grant_id` may also be `email:<address>`, or one of the other forms that Nylas takes; ValueError
    for an empty or senseless one.
    """

    def __init__(self, conversation: Conversation) -> None:
        """Talk through this conversation."""
        self._conversation = conversation

    async def list(
        self, *, limit: int = MOST_PER_PAGE, offset: int = 0, **filters: Unpack[GrantFilters]
    ) -> Answer[tuple[NylasGrant, ...]]:
        """Look at one page of grants (GET /v3/grants), of at most 200.

        Entries that cannot be read are left out without a word. So a grant that isn't listed need
        not be gone: `get` decides that.
        """
        return items(await self._conversation.ask(_page(limit, offset, **filters)))

    async def each_page(
        self,
        *,
        limit: int = MOST_PER_PAGE,
        max_pages: int = MOST_PAGES,
        distinct: bool = True,
        **filters: Unpack[GrantFilters],
    ) -> AsyncIterator[Answer[tuple[NylasGrant, ...]]]:
        """Look at all grants, page by page; a page may turn out empty.

        If `distinct`, each grant comes once, and all their ids are remembered for that.
        The list has no cursor, only an offset: while we read, a grant deleted from an earlier page
        makes another one slip through unseen. What isn't listed is therefore not proven gone. Raises
        Garbled if the list has no end after `max_pages`.
        """
        pages = each_page(
            self._conversation,
            lambda offset: _page(limit, offset, **filters),
            key=(lambda grant: grant.id) if distinct else None,
            limit=limit,
            max_pages=max_pages,
        )
        async for page in pages:
            yield page

    async def get(self, grant_id: str, *, expose_aliases: bool | None = None) -> Answer[NylasGrant]:
        """Look at one grant (GET /v3/grants/{id}), on demand with its aliases (Google and Microsoft 365)."""
        return await self._conversation.ask(
            Request("GET", _path(grant_id), "grants", read_one(NylasGrant), about="grant",
                    params=given(expose_aliases=expose_aliases))
        )  # fmt: skip

    async def get_by_access_token(self, access_token: str) -> Answer[NylasGrant]:
        """Look at the grant that an access token of Nylas' is for (GET /v3/grants/me); Unauthorized if it has ended."""
        request = Request(
            "GET",
            "/v3/grants/me",
            "grants",
            read_one(NylasGrant),
            about="grant",
            access_token=access_token,
            secrets=(access_token,),
        )
        return await self._conversation.ask(request)

    async def update(
        self, grant_id: str, *, settings: ProviderSettings | None = None, scope: Sequence[str] | None = None
    ) -> Answer[NylasGrant]:
        """Replace the settings of a grant whole, as with a new refresh token, or its scopes (PATCH /v3/grants/{id}).

        The scopes are only what Nylas remembers; what the provider has granted stays as it is.
        """
        body: dict[str, object] = {}
        body |= {"settings": settings.body()} if settings else {}
        body |= {"scope": list(scope)} if scope is not None else {}
        request = Request(
            "PATCH",
            _path(grant_id),
            "grants",
            read_one(NylasGrant),
            json=body,
            about="grant",
            secrets=settings.secrets() if settings else (),
        )
        return await self._conversation.ask(request)

    async def delete(self, grant_id: str) -> Answer[None]:
        """Delete a grant for good (DELETE /v3/grants/{id}).

        Its tokens are revoked and it can't come back: the same account gets a new id. After a lost
        answer it is asked again, and then a GrantNotFound means that the first time did it.
        """
        return await self._conversation.ask(Request("DELETE", _path(grant_id), "grants", read_nothing, about="grant"))


def _path(grant_id: str) -> str:
    return f"/v3/grants/{step('grant id', grant_id)}"


def _page(limit: int, offset: int, **filters: Unpack[GrantFilters]) -> Request[Listing[NylasGrant]]:
    query = {"sort_by": "created_at", "order_by": "asc"} | filters
    accounts = query.pop("account_ids", None)
    if isinstance(accounts, list | tuple):
        query["account_ids"] = ",".join(accounts)
    return Request("GET", "/v3/grants", "grants", read_many(NylasGrant), params=page_of(limit, offset) | given(**query))
