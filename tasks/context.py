"""What a task may reach: the database, Nylas, the keys, the clock and the doorbell."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from lifecycle import Policy, delay_before
from lifecycle.brake import Braked
from models.database import Database
from models.sealing import Keyring
from nylas_api import GrantUnauthorized, KeyRejected, NylasClient, NylasError, Transient
from tasks.clock import Clock
from tasks.flow import Flow
from tasks.notices.outbound import Outbound
from tasks.observing import Observer, Seen
from tasks.sparing import Spare
from tasks.turns import Turns

LEASE = timedelta(seconds=15)
BULK_CHUNKS_AT_ONCE = 4
WRITERS_AT_ONCE = 4
OUR_KEY_IS_REFUSED = timedelta(seconds=5)
STILL_AT_WORK = timedelta(seconds=15)
"""How long Nylas may still be at work on what it was asked to change, when nobody waits for the answer any more."""
ONE_IS_REFUSED = 7
"""A grant is refused so often, while our key is good, before that is believed: for a minute at least."""


@dataclass(frozen=True, slots=True)
class Context:
    """The hands of a task, made by the runtime once for the process; a test makes its own.

    `ring` tells the workers that rows are due; it never waits. `chance` draws 0 ≤ x < 1 for jitter. `public_url` is
    where the world reaches the web front.
    """

    application_id: UUID
    database: Database
    nylas: NylasClient
    keys: Keyring
    ring: Callable[[str, Sequence[UUID]], None]
    now: Clock
    chance: Callable[[], float]
    policy: Policy = field(default_factory=Policy)
    lease: timedelta = LEASE
    public_url: str = "http://localhost:8000"
    bulk: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BULK_CHUNKS_AT_ONCE))
    flow: Flow = field(default_factory=Flow)
    observer: Observer = field(default_factory=Observer)
    spare: Mapping[Braked, Spare] = field(default_factory=lambda: defaultdict(Spare))
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        """Let as many write at once as the database is good for."""
        object.__setattr__(self, "turns", Turns(1 if self.database.is_sqlite else WRITERS_AT_ONCE))

    outbound: Outbound = field(default_factory=Outbound)

    async def look_at_many(self, grant_ids: Iterable[str]) -> dict[str, Seen]:
        """Look at grants in as few calls as it takes, together with whoever in this process looks at some as well."""
        return await self.observer.look(self, grant_ids)

    def wait_after(self, error: NylasError, attempts: int) -> timedelta | None:
        """Say how long to wait before asking again, or None where asking again can't help.

        A refused API key is no word about any grant, and somebody will mend it: the work waits. That one grant alone is
        refused is not believed at once: a 401 that passes may be over by the time that the key is asked about.
        What Nylas may be at work on yet is not asked for a second time meanwhile.
        """
        match error:
            case Transient(under_way=True):
                return STILL_AT_WORK + self.backoff(attempts)
            case Transient(retry_after=timedelta() as told):
                return told + self.backoff(attempts)
            case Transient():
                return self.backoff(attempts)
            case KeyRejected():
                return max(OUR_KEY_IS_REFUSED, self.backoff(attempts))
            case GrantUnauthorized() if attempts < ONE_IS_REFUSED:
                return self.backoff(attempts)
            case _:
                return None

    def backoff(self, attempts: int) -> timedelta:
        """The wait after so many attempts."""
        return delay_before(attempts + 1, chance=self.chance())
