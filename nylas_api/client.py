"""A client for the parts of Nylas v3 that make grants and look at them."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar, Unpack

import httpx

from nylas_api import hosted_auth, protocol
from nylas_api.answers import Answer, GrantPage, NylasGrant, TokenAnswer
from nylas_api.budget import Budget, NoBudget
from nylas_api.errors import Garbled, RateLimited, Unreachable
from nylas_api.hosted_auth import AuthOptions
from nylas_api.protocol import GrantFilters, Request
from nylas_api.reading import read_answer
from nylas_api.transport import FAULTS, name_of, never_sent

T = TypeVar("T")

PUSHED_BACK_FOR = timedelta(seconds=1)
"""The wait after a 429 that names none; Nylas counts by the second."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class NylasClient:
    """Asks Nylas on behalf of one application.

    It never asks twice: whoever owns the work also owns its retries, and `NylasError` says whether
    they can help. Every call may raise any NylasError, and nothing else that stems from the wire.

    `deadline` bounds one whole call, from connecting to the last byte; waiting for the budget or for
    a place among `in_flight` doesn't count. Of an answer at most `max_bytes` are read, counted after
    decompression. The client doesn't own `http` and doesn't close it.
    """

    def __init__(
        self,
        *,
        api_uri: str,
        api_key: str,
        client_id: str,
        http: httpx.AsyncClient,
        budget: Budget | None = None,
        in_flight: asyncio.Semaphore | None = None,
        deadline: timedelta = timedelta(seconds=20),
        max_bytes: int = 4 * 1024 * 1024,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ValueError("the API key is empty, or holds characters that no key has")
        if not api_uri.startswith(("https://", "http://")):
            raise ValueError(f"not an address of an API: {api_uri!r}")
        self._api_uri = api_uri.rstrip("/")
        self._api_key = api_key
        self._client_id = client_id
        self._http = http
        self._budget = NoBudget() if budget is None else budget
        self._place: AbstractAsyncContextManager[None] = nullcontext() if in_flight is None else in_flight
        self._deadline = deadline.total_seconds()
        self._max_bytes = max_bytes
        self._now = now

    def auth_url(self, **options: Unpack[AuthOptions]) -> str:
        """Say where to send a user to sign in; nothing is sent. See `hosted_auth.AuthOptions`."""
        return hosted_auth.auth_url(self._api_uri, self._client_id, **options)

    async def exchange_code(
        self, *, code: str, redirect_uri: str, code_verifier: str | None = None
    ) -> Answer[TokenAnswer]:
        """Exchange the code of a finished sign-in for its grant (POST /v3/connect/token).

        A code is good for one attempt, even a failed one. When the outcome is unknown, the grant may
        exist: look for it by its email, or ask the user again, but don't send the code again.
        """
        request = protocol.exchange_code(
            client_id=self._client_id,
            api_key=self._api_key,
            code=code,
            redirect_uri=redirect_uri,
            code_verifier=code_verifier,
        )
        return await self._ask(request)

    async def custom_auth(
        self,
        *,
        provider: str,
        settings: Mapping[str, object],
        state: str | None = None,
        scope: Sequence[str] = (),
    ) -> Answer[NylasGrant]:
        """Authenticate with credentials of our own (POST /v3/connect/custom).

        An email that already has a grant has it re-authenticated, under the same id; so doing it
        again is safe. Only `created_at` before `updated_at` tells that from a new grant.
        """
        return await self._ask(protocol.custom_auth(provider=provider, settings=settings, state=state, scope=scope))

    async def get_grant(self, grant_id: str) -> Answer[NylasGrant]:
        """Look at one grant (GET /v3/grants/{id}); ValueError for an empty or senseless id."""
        return await self._ask(protocol.get_grant(grant_id))

    async def list_grants(
        self, *, limit: int = protocol.MOST_PER_PAGE, offset: int = 0, **filters: Unpack[GrantFilters]
    ) -> Answer[tuple[NylasGrant, ...]]:
        """Look at one page of grants, oldest first unless told otherwise (GET /v3/grants).

        Entries that cannot be read are left out without a word. So a grant that isn't listed need
        not be gone: `get_grant` decides that.
        """
        return _grants(await self._ask(protocol.list_grants(limit, offset, **filters)))

    async def each_page(
        self,
        *,
        limit: int = protocol.MOST_PER_PAGE,
        max_pages: int = 10_000,
        **filters: Unpack[GrantFilters],
    ) -> AsyncIterator[Answer[tuple[NylasGrant, ...]]]:
        """Look at all grants, page by page, each grant once; a page may turn out empty.

        The list has no cursor, only an offset: while we read, a grant deleted from an earlier page
        makes another one slip through unseen. What isn't listed is therefore not proven gone. Raises
        Garbled if the list has no end after `max_pages`.
        """
        offset, seen = 0, set[str]()
        for _ in range(max_pages):
            answer = await self._ask(protocol.list_grants(limit, offset, **filters))
            page = answer.data
            fresh = {grant.id: grant for grant in page.grants if grant.id not in seen}
            seen.update(fresh)
            yield _grants(replace(answer, data=replace(page, grants=tuple(fresh.values()))))
            if page.length < min(limit, page.limit or limit):
                return
            offset += page.length
        raise Garbled(f"Nylas' list of grants did not end within {max_pages} pages of {limit}")

    async def _ask(self, request: Request[T]) -> Answer[T]:
        await self._budget.take(request.group)
        async with self._place:
            asked_at = self._now()
            status, headers, body = await self._send(request)
        try:
            data, request_id = read_answer(request, status, headers, body, now=self._now(), secrets=(self._api_key,))
        except RateLimited as refusal:
            if not refusal.provider_limit:
                await self._budget.pushed_back(request.group, refusal.retry_after or PUSHED_BACK_FOR)
            raise
        return Answer(data, request_id, asked_at)

    async def _send(self, request: Request[T]) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if request.authorized:
            headers["Authorization"] = f"Bearer {self._api_key}"
        content = None
        if request.json is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(request.json, allow_nan=False).encode()
        # Half the deadline to connect: past that we still know that nothing was sent.
        timeout = httpx.Timeout(None, connect=self._deadline / 2, pool=self._deadline / 2)
        outgoing = self._http.build_request(
            request.method,
            f"{self._api_uri}{request.path}",
            params=request.params or None,
            content=content,
            headers=headers,
            timeout=timeout,
        )
        try:
            async with (
                asyncio.timeout(self._deadline),
                aclosing(await self._http.send(outgoing, stream=True, follow_redirects=False)) as response,
            ):
                return response.status_code, response.headers, await self._read(response)
        except TimeoutError:
            raise Unreachable(f"Nylas gave no whole answer within {self._deadline:g} s", outcome_unknown=True) from None
        except FAULTS as fault:
            sent = not never_sent(fault)
            what = "the connection to Nylas broke" if sent else "Nylas could not be reached"
            raise Unreachable(f"{what}: {name_of(fault)}", outcome_unknown=sent) from None

    async def _read(self, response: httpx.Response) -> bytes:
        """Read no more than we're willing to hold; a body cut short is no JSON, which says enough.

        Inflated here, not by httpx, which would blow up a whole chunk before anyone could count it.
        """
        zipped = response.headers.get("content-encoding", "").strip().lower() == "gzip"
        inflate = zlib.decompressobj(wbits=31)
        body = bytearray()
        async for chunk in response.aiter_raw():
            try:
                room = self._max_bytes + 1 - len(body)
                body += inflate.decompress(chunk, room) if zipped else chunk[:room]
            except zlib.error:
                break
            if len(body) > self._max_bytes:
                break
        return bytes(body)


def _grants(answer: Answer[GrantPage]) -> Answer[tuple[NylasGrant, ...]]:
    return Answer(answer.data.grants, answer.request_id, answer.asked_at)
