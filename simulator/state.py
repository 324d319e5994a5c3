"""All that one simulated Nylas knows, from its options to its grants."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from simulator.answers import Json
from simulator.application import Application
from simulator.books import Books, Grant
from simulator.calls import Calls
from simulator.clock import Clock
from simulator.connectors import READY_MADE, Connectors
from simulator.deliveries import Deliveries
from simulator.events import Event, about_grant, source_of
from simulator.faults import Faults
from simulator.ids import Ids
from simulator.limiter import Limits
from simulator.logins import Logins
from simulator.missed import Missed
from simulator.tokens import Tokens

APPLICATION_ID = "7c1f0b52-3a94-4f0e-9d6b-5e2a8c41d703"


@dataclass(frozen=True, slots=True)
class Options:
    """How it was started; a reset does not touch these. None takes anything."""

    latency_ms: int = 0
    api_key: str | None = None
    client_id: str | None = None
    webhook_secret: str | None = None
    seed: int | None = None
    rate: int | None = None
    connectors: tuple[str, ...] = READY_MADE


class State:
    """The one object every handler is given."""

    connectors: Connectors
    books: Books
    application: Application
    logins: Logins
    tokens: Tokens
    faults: Faults
    calls: Calls
    missed: Missed
    limits: Limits
    broken_credentials: set[str]
    clock: Clock
    ids: Ids
    request_ids: Ids

    def __init__(self, options: Options, deliveries: Deliveries) -> None:
        self.options = options
        self.deliveries = deliveries
        self.reset()

    def reset(self, seed: int | None = None, connectors: Iterable[str] | None = None) -> None:
        """Forget everything but the options; what is on its way is called back.

        The same seed and the same calls give the same ids; without one here, the seed of the options counts.
        """
        seed = self.options.seed if seed is None else seed
        self.clock = Clock()
        self.began = self.now()
        self.ids, self.request_ids = Ids(seed), Ids(seed, "requests")
        ready_made = self.options.connectors if connectors is None else connectors
        self.connectors = Connectors(self.clock, self.ids, ready_made)
        self.books = Books(self.clock, self.ids, self.connectors)
        self.application = Application(self.application_id, self.ids, self.now())
        self.logins = Logins(self.clock, self.ids)
        self.tokens = Tokens(self.clock, self.ids)
        self.faults = Faults()
        self.calls = Calls()
        self.missed = Missed()
        self.limits = Limits(self.options.rate)
        self.broken_credentials = set()
        self.deliveries.reset(self.clock)

    @property
    def application_id(self) -> str:
        """The application's id, which is also the client id of its OAuth."""
        return self.options.client_id or APPLICATION_ID

    def knows_key(self, key: str) -> bool:
        """Tell whether this is the API key, which is also the client secret of OAuth."""
        if self.options.api_key is None:
            return bool(key)
        return hmac.compare_digest(key.encode(), self.options.api_key.encode())

    def knows_client(self, client_id: str) -> bool:
        """Tell whether this is our client id."""
        return self.options.client_id in (None, client_id)

    def now(self) -> int:
        """Return the time at Nylas, in unix seconds."""
        return self.clock.now()

    def new_id(self) -> str:
        """Return a new id, in the form of a UUID."""
        return self.ids.new_id()

    def token(self) -> str:
        """Return a new secret, safe in a URL."""
        return self.ids.token()

    def event(self, kind: str, grant: Grant, **more: object) -> Event:
        """Build what the webhooks will say about a grant."""
        return self.event_about(kind, about_grant(kind, grant, more), provider=grant.provider)

    def event_about(self, kind: str, about: Json, *, provider: str = "nylas") -> Event:
        """Build an event of any type about anything."""
        return Event(self.ids.short_id(), kind, self.now(), self.application_id, about, source_of(kind, provider))

    def tell(self, kind: str, grant: Grant, **more: object) -> None:
        """Send the webhooks word about a grant, behind the back of the answer.

        A grant that is valid again gets what it missed, right after.
        """
        self.deliveries.send(self.event(kind, grant, **more))
        match kind:
            case "grant.expired":
                self.missed.stopped(grant.id, self.now())
            case "grant.deleted":
                self.missed.forget(grant.id)
            case "grant.updated" if grant.grant_status == "valid":
                for event in self.missed.resumed(grant.id, self.now()):
                    self.deliveries.send(event)

    def expire(self, grant: Grant) -> None:
        """Make a grant invalid, and tell it if it was not so before."""
        if grant.grant_status == "valid":
            grant.grant_status = "invalid"
            self.tell("grant.expired", grant)

    def tell_signed_in(self, grant: Grant, *, new: bool, **more: object) -> None:
        """Send word that a user signed in: the first time, or again."""
        if new:
            self.tell("grant.created", grant, **more)
        else:
            self.tell("grant.updated", grant, reauthentication_flag=True)

    def names(self, ref: str | None) -> set[str]:
        """Return all names of a grant, so that calls can be counted under each."""
        if not ref:
            return set()
        grant = self.books.find(ref)
        return {grant.id, grant.email} if grant else {ref}
