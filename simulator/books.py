"""The grants Nylas holds: one for each email address, found by id, by email, or in order of time."""

import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from uuid import uuid4

from simulator.answers import Json
from simulator.people import scopes_of

KEPT_SECRET = {
    *("refresh_token", "credential_id", "email_address", "scopes"),
    *("password", "imap_password", "smtp_password", "ews_password", "app_password"),
}


@dataclass(frozen=True, slots=True)
class SignIn:
    """A user has just proved who they are, by whichever way."""

    email: str
    provider: str
    scope: list[str] | None = None
    state: str | None = None
    name: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    credential_id: str | None = None
    settings: Json = field(default_factory=dict)


@dataclass(slots=True)
class Grant:
    """A grant; `updated_at` is its last authentication, and an expiry does not move it."""

    id: str
    number: int
    email: str
    provider: str
    scope: list[str]
    created_at: int
    updated_at: int
    grant_status: str = "valid"
    state: str | None = None
    name: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    credential_id: str | None = None
    settings: Json = field(default_factory=dict)
    blocked: bool = False

    def view(self) -> Json:
        """Return what the API shows: never a secret, and no field that has no value."""
        shown: Json = {
            "id": self.id,
            "provider": self.provider,
            "grant_status": self.grant_status,
            "email": self.email,
            "scope": self.scope,
            "blocked": self.blocked,
            "settings": {name: v for name, v in self.settings.items() if name not in KEPT_SECRET},
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }
        for name in ("state", "name", "ip", "user_agent", "credential_id"):
            if (value := getattr(self, name)) is not None:
                shown[name] = value
        return shown


class Timeline:
    """Grants in the order of one of their times, so that a page of 100,000 costs no sort."""

    def __init__(self, moment: str) -> None:
        self.grants: list[Grant] = []
        self._moment = attrgetter(moment)
        self._place = attrgetter(moment, "number")

    def add(self, grant: Grant) -> None:
        """Put a grant in its place."""
        insort(self.grants, grant, key=self._place)

    def add_many(self, grants: Iterable[Grant]) -> None:
        """Put many in their places with one sort."""
        self.grants.extend(grants)
        self.grants.sort(key=self._place)

    def remove(self, grant: Grant) -> None:
        """Take a grant out, while its time is still the one it was put in with."""
        del self.grants[bisect_left(self.grants, self._place(grant), key=self._place)]

    def span(self, since: int | None, before: int | None) -> range:
        """Return the places from one second to another, both included."""
        first = 0 if since is None else bisect_left(self.grants, since, key=self._moment)
        last = len(self.grants) if before is None else bisect_right(self.grants, before, key=self._moment)
        return range(first, last)


class Books:
    """All grants of the one application.

    The address decides, in any case of letters and whatever the provider: authenticating it again
    re-authenticates the grant that is there. (Nylas documents neither point; see REFERENCE 11.1.)
    """

    def __init__(self) -> None:
        self.by_id: dict[str, Grant] = {}
        self.by_email: dict[str, Grant] = {}
        self.timelines = {"created_at": Timeline("created_at"), "updated_at": Timeline("updated_at")}
        self._numbered = 0
        self._seeded = 0
        self._oldest = int(time.time())

    def find(self, ref: str) -> Grant | None:
        """Return a grant by `id`, `grant:id`, `email` or `email:address`."""
        bare = ref.removeprefix("grant:").removeprefix("email:")
        return self.by_id.get(bare) or self.by_email.get(bare.lower())

    def sign_in(self, user: SignIn) -> tuple[Grant, bool]:
        """Return the grant of this user, made or re-authenticated, and whether it is new."""
        if grant := self.by_email.get(user.email.lower()):
            self._renew(grant, user)
            return grant, False
        now = int(time.time())
        self._numbered += 1
        grant = Grant(
            id=str(uuid4()),
            number=self._numbered,
            email=user.email,
            provider=user.provider,
            scope=user.scope if user.scope is not None else scopes_of(user.provider),
            created_at=now,
            updated_at=now,
            state=user.state,
            name=user.name,
            ip=user.ip,
            user_agent=user.user_agent,
            credential_id=user.credential_id,
            settings=user.settings,
        )
        self._enter([grant])
        return grant, True

    def touch(self, grant: Grant) -> None:
        """Note that the grant has just been authenticated."""
        self.timelines["updated_at"].remove(grant)
        grant.grant_status = "valid"
        grant.updated_at = max(int(time.time()), grant.updated_at)
        self.timelines["updated_at"].add(grant)

    def delete(self, grant: Grant) -> None:
        """Forget a grant for good; the same user will get another id."""
        del self.by_id[grant.id], self.by_email[grant.email.lower()]
        for timeline in self.timelines.values():
            timeline.remove(grant)

    def seed(self, count: int, *, provider: str, status: str, domain: str, credential: str | None) -> list[str]:
        """Make many grants at once, each with its own second in the past; return their ids."""
        self._oldest -= count
        grants = [
            Grant(
                id=str(uuid4()),
                number=self._numbered + n,
                email=f"user{self._seeded + n:06}@{domain}",
                provider=provider,
                scope=scopes_of(provider),
                created_at=self._oldest + n - 1,
                updated_at=self._oldest + n - 1,
                grant_status=status,
                credential_id=credential,
            )
            for n in range(1, count + 1)
        ]
        self._numbered += count
        self._seeded += count
        self._enter(grants)
        return [grant.id for grant in grants]

    def _enter(self, grants: list[Grant]) -> None:
        self.by_id.update((grant.id, grant) for grant in grants)
        self.by_email.update((grant.email.lower(), grant) for grant in grants)
        for timeline in self.timelines.values():
            timeline.add(grants[0]) if len(grants) == 1 else timeline.add_many(grants)

    def _renew(self, grant: Grant, user: SignIn) -> None:
        grant.provider = user.provider
        grant.scope = user.scope if user.scope is not None else grant.scope
        grant.state = grant.state or user.state
        grant.credential_id = user.credential_id or grant.credential_id
        grant.settings = user.settings or grant.settings
        self.touch(grant)
