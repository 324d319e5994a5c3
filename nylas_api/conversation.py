"""The conversation with Nylas: each request within its budget and deadline, repeated where that is safe."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import stamina

from nylas_api.budget import Budget, wanted
from nylas_api.errors import KeyRejected, RateLimited, Transient, Unauthorized, Withheld
from nylas_api.lenient import Answer, Said, read_one
from nylas_api.reading import read_answer, read_date
from nylas_api.request import Request
from nylas_api.retrying import PUSHED_BACK_FOR, Course, RetryBudget
from nylas_api.secrecy import forms_of
from nylas_api.triage import KeyTriage
from nylas_api.wire import Wire

T = TypeVar("T")

CANARY = Request("GET", "/v3/applications", "applications", read_one(Said))
"""The call that concerns no grant, so that only the key can be why it is refused."""


@dataclass
class Conversation:
    """All that is said to Nylas for one application goes through here; it holds the API key.

    `deadline` bounds one whole call in seconds, from connecting to the last byte, with the attempts
    and the waits between them; waiting for the budget or for a place among `in_flight` doesn't count.
    """

    wire: Wire
    api_key: str = field(repr=False)
    budget: Budget
    in_flight: AbstractAsyncContextManager[None] | None
    deadline: float
    attempts: int
    now: Callable[[], datetime]
    chance: Callable[[], float]
    key_heard: Callable[[KeyRejected | None], None]

    def __post_init__(self) -> None:
        """Refuse a key that can't be one, without showing it."""
        if not self.api_key or not self.api_key.isascii() or not self.api_key.isprintable() or " " in self.api_key:
            raise ValueError("the API key is empty, or holds characters that no key has")
        self._place: AbstractAsyncContextManager[None] = nullcontext() if self.in_flight is None else self.in_flight
        self._hidden = forms_of((self.api_key,))
        self._retries = RetryBudget()
        self._triage = KeyTriage(self._ask_canary, now=self.now, heard=self.key_heard)

    async def ask(self, request: Request[T]) -> Answer[T]:
        """Ask, and ask again where that is safe and may help; raises any NylasError, and nothing else of the wire."""
        if request.hangs_on_the_key:
            await self._triage.pass_by()
        self._retries.called()
        course = Course(request, self.deadline, self.attempts, self._retries, self.chance)
        try:
            return await self._attempt(request, course)
        except Transient as error:
            failed: Transient | None = error
        async for attempt in stamina.retry_context(on=course.wait_after, attempts=self.attempts, timeout=None):
            with attempt:
                if failed:  # stamina comes in only now: its preparations cost a tenth of a call that goes well
                    first, failed = failed, None
                    raise first
                return await self._attempt(request, course)
        raise AssertionError("stamina ends with an answer or an error")

    async def _attempt(self, request: Request[T], course: Course) -> Answer[T]:
        try:
            return await self._once(request, course)
        except Unauthorized as refusal:
            if not request.hangs_on_the_key:
                raise
            error = await self._judge(request, refusal)
        raise error

    async def _judge(self, request: Request[T], refusal: Unauthorized) -> Exception:
        if (request.method, request.path) == (CANARY.method, CANARY.path):
            return self._triage.refused(refusal)
        return await self._triage.judge(refusal, about_a_grant=request.about != "application")

    async def _ask_canary(self) -> None:
        await self._once(CANARY, Course(CANARY, self.deadline, 1, self._retries, self.chance))

    async def _once(self, request: Request[T], course: Course) -> Answer[T]:
        async with self._place:
            _check_wanted()
            await self.budget.take(request.group)
            _check_wanted()
            asked_at, course.attempts = self.now(), course.attempts + 1
            began = asyncio.get_running_loop().time()
            bearer = self.api_key if request.hangs_on_the_key else request.access_token
            try:
                status, headers, body = await self.wire.send(request, bearer=bearer, seconds=course.left)
            finally:
                course.left -= asyncio.get_running_loop().time() - began
        try:
            data, request_id = read_answer(request, status, headers, body, now=self.now(), hidden=self._hidden)
        except RateLimited as refusal:
            if not refusal.provider_limit:
                await self.budget.pushed_back(request.group, refusal.retry_after or PUSHED_BACK_FOR)
            raise
        return Answer(data, request_id, asked_at, read_date(headers.get("date")))


def _check_wanted() -> None:
    if not (wanted.get() or _always)():
        raise Withheld("it was no longer wanted when its turn came")


def _always() -> bool:
    return True
