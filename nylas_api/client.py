"""A client for the authentication API of Nylas v3, all of it."""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

from nylas_api.applications import Applications
from nylas_api.auth import Auth
from nylas_api.budget import Budget, NoBudget
from nylas_api.connectors import CONNECTORS_PATH, Connectors
from nylas_api.conversation import Conversation
from nylas_api.credentials import Credentials
from nylas_api.errors import KeyRejected
from nylas_api.grants import Grants
from nylas_api.redirect_uris import RedirectUris
from nylas_api.transport import HttpClient
from nylas_api.webhooks import Webhooks
from nylas_api.wire import Wire


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _say_nothing(refused: KeyRejected | None) -> None:
    """Hear that the key is refused, or taken again."""


class NylasClient:
    """Asks Nylas on behalf of one application: one async method for each operation, grouped as in Nylas' own SDKs.

    Every call may raise any NylasError, and nothing else that stems from the wire. Arguments that
    Nylas can't take raise ValueError before anything is sent.

    A call is bounded by `deadline`, from connecting to the last byte, with at most `attempts` and the
    waits between them; waiting for the budget or for a place among `in_flight` doesn't count. It is
    repeated only where that is safe. Of an answer at most `max_bytes` are read, counted after
    decompression. `chance` draws 0 ≤ x < 1 for the jitter of the waits. `key_heard` is told when Nylas
    refuses the API key, and with None when it takes it again. The client doesn't own `http` and
    doesn't close it.
    """

    def __init__(
        self,
        *,
        api_uri: str,
        api_key: str,
        client_id: str,
        http: HttpClient,
        budget: Budget | None = None,
        in_flight: AbstractAsyncContextManager[None] | None = None,
        deadline: timedelta = timedelta(seconds=20),
        attempts: int = 3,
        max_bytes: int = 4 * 1024 * 1024,
        connectors_path: str = CONNECTORS_PATH,
        now: Callable[[], datetime] = _utc_now,
        chance: Callable[[], float] = random.random,
        key_heard: Callable[[KeyRejected | None], None] = _say_nothing,
    ) -> None:
        """Refuse, by ValueError, a key or an address that can't be one."""
        if not api_uri.startswith(("https://", "http://")):
            raise ValueError(f"not an address of an API: {api_uri!r}")
        conversation = Conversation(
            wire=Wire(http, api_uri.rstrip("/"), max_bytes),
            api_key=api_key,
            budget=NoBudget() if budget is None else budget,
            in_flight=in_flight,
            deadline=deadline.total_seconds(),
            attempts=attempts,
            now=now,
            chance=chance,
            key_heard=key_heard,
        )
        self.auth = Auth(conversation, client_id=client_id)
        self.grants = Grants(conversation)
        self.connectors = Connectors(conversation, path=connectors_path)
        self.credentials = Credentials(conversation, path=connectors_path)
        self.applications = Applications(conversation)
        self.redirect_uris = RedirectUris(conversation)
        self.webhooks = Webhooks(conversation)
