"""The grants Nylas holds: one for each email address, found by id, by email, or in order of time."""

import gc
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.ailing import Ailing
from simulator.answers import Json
from simulator.clock import Clock
from simulator.connectors import Connectors
from simulator.ids import Ids
from simulator.timeline import Timeline

KEPT_SECRET = {
    *("refresh_token", "credential_id", "email_address", "scopes"),
    *("password", "imap_password", "smtp_password", "ews_password", "app_password"),
}
MANY = 100_000
"""So many grants at once are kept from the garbage collector, which would stop everything to look at them."""

SHOWN_IF_KNOWN = (
    *("state", "name", "ip", "user_agent", "credential_id"),
    *("provider_user_id", "workspace_id", "account_id"),
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A user has just proved who they are, by whichever way."""

    email: str
    provider: str
    scope: list[str]
    state: str | None = None
    name: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    credential_id: str | None = None
    provider_user_id: str | None = None
    workspace_id: str | None = None
    settings: Json = field(default_factory=dict, repr=False)


@dataclass(slots=True, eq=False)
class Grant:
    """A grant; `updated_at` is its last authentication, and an expiry does not move it."""

    id: str
    number: int
    email: str
    provider: str
    scope: list[str]
    created_at: int
    updated_at: int
    _status: str
    _ailing: Ailing = field(repr=False)
    state: str | None = None
    name: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    credential_id: str | None = None
    provider_user_id: str | None = None
    workspace_id: str | None = None
    account_id: str | None = None
    settings: Json = field(default_factory=dict, repr=False)
    blocked: bool = False

    @property
    def grant_status(self) -> str:
        """`valid` or `invalid`. Those that are not valid are kept together, to be listed without a search."""
        return self._status

    @grant_status.setter
    def grant_status(self, status: str) -> None:
        self._status = status
        if status == "valid":
            self._ailing.drop(self)
        else:
            self._ailing.put([self])

    def view(self) -> Json:
        """Return what the API shows: never a secret, and no field that has no value."""
        shown: Json = {
            "id": self.id,
            "provider": self.provider,
            "grant_status": self._status,
            "email": self.email,
            "scope": self.scope,
            "blocked": self.blocked,
            "settings": {name: v for name, v in self.settings.items() if name not in KEPT_SECRET},
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }
        for name in SHOWN_IF_KNOWN:
            if (value := getattr(self, name)) is not None:
                shown[name] = value
        return shown


class Books:
    """All grants of the one application.

    The address decides, in any case of letters and whatever the provider: authenticating it again
    re-authenticates the grant that is there. (Nylas documents neither the case nor the provider.)
    """

    def __init__(self, clock: Clock, ids: Ids, connectors: Connectors) -> None:
        self.by_id: dict[str, Grant] = {}
        self.by_email: dict[str, Grant] = {}
        self.by_account: dict[str, Grant] = {}
        self.ailing = Ailing()
        self.timelines = {"created_at": Timeline("created_at"), "updated_at": Timeline("updated_at")}
        self._clock, self._ids, self._connectors = clock, ids, connectors
        self._numbered = 0
        self._seeded = 0
        self._oldest = clock.now()
        self._leaving: dict[str, int] = {}

    def find(self, ref: str) -> Grant | None:
        """Return a grant by `id`, `grant:id`, `email` or `email:address`."""
        self.clear_out()
        bare = ref.removeprefix("grant:").removeprefix("email:")
        return self.by_id.get(bare) or self.by_email.get(bare.lower())

    def sign_in(self, user: SignIn) -> tuple[Grant, bool]:
        """Return the grant of this user, made or re-authenticated, and whether it is new."""
        if grant := self.find(user.email):
            self._renew(grant, user)
            return grant, False
        now = self._clock.now()
        self._numbered += 1
        grant = Grant(
            id=self._ids.new_id(),
            number=self._numbered,
            email=user.email,
            provider=user.provider,
            scope=user.scope,
            created_at=now,
            updated_at=now,
            _status="valid",
            _ailing=self.ailing,
            state=user.state,
            name=user.name,
            ip=user.ip,
            user_agent=user.user_agent,
            credential_id=user.credential_id,
            provider_user_id=user.provider_user_id,
            workspace_id=user.workspace_id,
            settings=user.settings,
        )
        self._enter([grant], [(grant.email.lower(), grant)])
        return grant, True

    def touch(self, grant: Grant) -> None:
        """Note that the grant has just been authenticated."""
        self.timelines["updated_at"].remove(grant)
        grant.grant_status = "valid"
        grant.updated_at = max(self._clock.now(), grant.updated_at)
        self.timelines["updated_at"].add(grant)
        self._leaving.pop(grant.id, None)

    def delete(self, grant: Grant) -> None:
        """Forget a grant for good; the same user will get another id."""
        del self.by_id[grant.id], self.by_email[grant.email.lower()]
        self.by_account.pop(grant.account_id or "", None)
        self.ailing.drop(grant)
        self._leaving.pop(grant.id, None)
        for timeline in self.timelines.values():
            timeline.remove(grant)

    def remove_later(self, grants: Iterable[Grant], when: int) -> None:
        """Let the records of these grants go at that time, unless they are authenticated before."""
        self._leaving.update((grant.id, when) for grant in grants)

    def clear_out(self) -> None:
        """Forget the grants whose time to go has come; the first of them is the first to go."""
        if not self._leaving or next(iter(self._leaving.values())) > (now := self._clock.now()):
            return
        for grant_id in [grant_id for grant_id, when in self._leaving.items() if when <= now]:
            self.delete(self.by_id[grant_id])

    def seed(
        self,
        count: int,
        *,
        provider: str,
        status: str,
        domain: str,
        credential: str | None = None,
        workspace: str | None = None,
        migrated: bool = False,
    ) -> list[str]:
        """Make many grants at once, each with its own second in the past; return their ids.

        The connector and the credential they need are there from then on.
        """
        scope = self._connectors.make_ready(provider).asks_for
        if credential is not None:
            self._connectors.adopt(provider, credential)
        self._oldest -= count
        domain = domain.lower()
        nothing: Json = {}
        grants = [
            Grant(
                id=self._ids.new_id(),
                number=self._numbered + n,
                email=f"user{self._seeded + n:06}@{domain}",
                provider=provider,
                scope=scope,
                created_at=(second := self._oldest + n - 1),
                updated_at=second,
                settings=nothing,
                _status=status,
                _ailing=self.ailing,
                credential_id=credential,
                workspace_id=workspace,
                account_id=self._ids.token()[:25].lower() if migrated else None,
            )
            for n in range(1, count + 1)
        ]
        self._numbered += count
        self._seeded += count
        self._enter(grants, by_email=((grant.email, grant) for grant in grants))
        if count >= MANY:
            gc.freeze()
        return [grant.id for grant in grants]

    def _enter(self, grants: list[Grant], by_email: Iterable[tuple[str, Grant]]) -> None:
        self.by_id.update((grant.id, grant) for grant in grants)
        self.by_email.update(by_email)
        self.by_account.update((grant.account_id, grant) for grant in grants if grant.account_id)
        self.ailing.put(grant for grant in grants if grant.grant_status != "valid")
        for timeline in self.timelines.values():
            timeline.add(grants[0]) if len(grants) == 1 else timeline.add_many(grants)

    def _renew(self, grant: Grant, user: SignIn) -> None:
        grant.provider = user.provider
        grant.scope = user.scope
        grant.state = grant.state or user.state
        grant.credential_id = user.credential_id or grant.credential_id
        grant.settings = user.settings or grant.settings
        self.touch(grant)
