"""What is known when the storm is over: of what was sent, by Nylas, from our tables, and to the product."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """A webhook that was answered with 200 at least once; `id` is Nylas' own, or the hash of the body of poison."""

    id: str
    poison: bool = False


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event in our tables; `told` is what `Sent.id` is there, if it came by a webhook."""

    id: str
    told: str | None
    kind: str
    settled: bool
    outcome: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """A change of a grant in our tables."""

    id: str
    grant_id: str
    old: str | None
    new: str
    at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice in our tables. It is `due` if its time has come and nothing holds it."""

    id: str
    kind: str
    grant_id: str | None
    seq: int
    transition_id: str | None
    settled: bool
    due: bool
    outcome: str | None = None
    reason: str | None = None
    undelivered: int = 0
    """Deliveries of it that have not ended well."""
    overtaken: bool = False
    """Whether it was no more true when it was to be delivered, and its delivery says so."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A notice as the product got it, in the order of its books."""

    id: str
    kind: str
    grant_id: str | None
    sequence: int | None
    status: str | None
    at: datetime
    signed: bool = True


@dataclass(frozen=True, slots=True)
class SignInRow:
    """A sign-in in our tables."""

    id: str
    status: str
    ended: bool
    kept_secret: bool
    """Whether its code or its verifier is still there."""
    grant_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item of a campaign in our tables."""

    id: str
    grant_id: str | None
    email: str | None
    settled: bool
    outcome: str | None
    cause: str | None = None
    attempts: int = 0
    """Since it was last asked for."""
    asked: int = 1
    """How often it was asked for: once, and again whenever an admin had what failed tried again."""


@dataclass(slots=True)
class Truth:
    """What Nylas holds, and what was done there."""

    grants: dict[str, str] = field(default_factory=dict)
    """The status at Nylas, `valid` or `invalid`, of each grant that is there."""
    emails: dict[str, str] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    """The grants that were there before the storm: nobody is told that they have come."""
    expiries: Counter[str] = field(default_factory=Counter)
    """How often each grant was made invalid."""
    deleted: set[str] = field(default_factory=set)
    code_ends: dict[str, list[int | None]] = field(default_factory=dict)
    renewals: Counter[str] = field(default_factory=Counter)
    renewed_at: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """When each renewal of a mailbox came to Nylas, and when it was done, in seconds since 1970."""


@dataclass(slots=True)
class Books:
    """All of it."""

    sent: list[Sent] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    grants: dict[str, str] = field(default_factory=dict)
    transitions: list[TransitionRow] = field(default_factory=list)
    notices: list[NoticeRow] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    sign_ins: list[SignInRow] = field(default_factory=list)
    came_back: int = 0
    """How often a user came back from Nylas, and was shown that it went well."""
    items: list[ItemRow] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    """The ids of the campaigns that an admin was told have begun."""
    campaigns: dict[str, str] = field(default_factory=dict)
    """The status of each campaign in our tables that has items."""
    truth: Truth = field(default_factory=Truth)
    interrupted: int = 0
    """How many calls may have been asked again since an answer could not be known, or not be kept."""
    ambiguous: list[tuple[float, float]] | None = None
    """The stretches in which that was so, in seconds since 1970; None where nobody noted them."""
    secrets_found: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    calm: list[float] = field(default_factory=list)
    """Seconds after which webhooks were answered, without end if it was not with 200."""
    on_a_good_disk: list[float] = field(default_factory=list)
    """Those of `calm` during which no small write of the storm's own had to wait."""
    without_valkey: list[float] = field(default_factory=list)
    late: float = 0.0
    """By how much a timer of the storm's own was late, at its p99: so much of what it measures is its own."""
    disk: list[float] = field(default_factory=list)
    """Seconds after which small writes of the storm's own were durable, when all was calm."""
    growth: dict[str, float | None] = field(default_factory=dict)
    """None: nothing became old enough to be measured."""
