"""Hears that Nylas refuses the API key, and that it takes it again, and has the incident of it opened and closed."""

import asyncio

import structlog

from models.cancellation import is_cancelled
from nylas_api import KeyRejected
from tasks.api_key import key_refused, key_taken
from tasks.context import Context

log = structlog.get_logger()

WRITE_AGAIN = 5.0


class KeyWatch:
    """Writes down what was heard last, until it is written. Without a context it only tells whoever reads the log."""

    def __init__(self) -> None:
        self._context: Context | None = None
        self._heard: KeyRejected | None = None
        self._writing: asyncio.Task[None] | None = None

    def write_to(self, context: Context) -> None:
        """Say where incidents are kept."""
        self._context = context

    def heard(self, refused: KeyRejected | None) -> None:
        """Hear it. Until somebody mends the key, all work that needs Nylas waits."""
        if refused:
            log.error("nylas.key_refused", told=str(refused), request_id=refused.request_id, then="evergrant doctor")
        else:
            log.warning("nylas.key_taken_again")
        self._heard = refused
        if self._context and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write(self._context))

    async def close(self) -> None:
        """Stop writing."""
        if self._writing:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self, context: Context) -> None:
        while True:
            heard = self._heard
            try:
                await (key_refused(context, heard) if heard else key_taken(context))
            except Exception as error:  # the database is away: the same is written later
                if is_cancelled():
                    return
                log.warning("nylas.key_incident_not_written", error=type(error).__name__)
                await asyncio.sleep(WRITE_AGAIN)
                continue
            if heard is self._heard:
                return
