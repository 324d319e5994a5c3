"""The connectors of the application, one for each provider, and their credentials."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.answers import Json
from simulator.clock import Clock
from simulator.ids import Ids
from simulator.people import scopes_of

BY_OAUTH = ("google", "microsoft", "yahoo", "zoom")
READY_MADE = (*BY_OAUTH, "imap", "icloud", "ews", "virtual-calendar")
PROVIDERS = (*READY_MADE, "nylas")

IN_BULK = {"google": "serviceaccount", "microsoft": "adminconsent"}
"""Which type of credential signs in whole organisations, by provider."""

SHOWN = ("topic_name", "tenant")


@dataclass(slots=True, eq=False)
class Credential:
    """An app of the customer's at the provider, or its right to a whole organisation.

    `consented` is about `adminconsent` alone: the administrator said yes.
    """

    id: str
    number: int
    name: str
    kind: str
    data: Json = field(repr=False)
    created_at: int
    updated_at: int
    consented: bool = False

    def view(self) -> Json:
        """Return what the API shows: neither the type nor a word of the data."""
        return {"id": self.id, "name": self.name, "created_at": self.created_at, "updated_at": self.updated_at}

    @property
    def names_an_app(self) -> bool:
        """Tell whether it has a client id and secret of its own."""
        return bool(self.data.get("client_id") and self.data.get("client_secret"))


@dataclass(slots=True, eq=False)
class Connector:
    """How the application reaches one provider; a `ready_made` one came with the simulator."""

    provider: str
    name: str
    settings: Json = field(repr=False)
    scope: list[str] | None
    ready_made: bool = False
    active_credential_id: str | None = None
    credentials: dict[str, Credential] = field(default_factory=dict)

    def view(self) -> Json:
        """Return what the API shows: of the settings what is no secret, and no field that has no value."""
        shown: Json = {"name": self.name, "provider": self.provider}
        if settings := {name: self.settings[name] for name in SHOWN if name in self.settings}:
            shown["settings"] = settings
        if self.scope is not None:
            shown["scope"] = self.scope
        if self.active_credential_id is not None:
            shown["active_credential_id"] = self.active_credential_id
        return shown

    @property
    def active(self) -> Credential | None:
        """The credential that is used where none is named."""
        return self.credentials.get(self.active_credential_id or "")

    @property
    def asks_for(self) -> list[str]:
        """The scopes a user is asked for where none are named."""
        return scopes_of(self.provider) if self.scope is None else self.scope

    @property
    def takes_any_credential(self) -> bool:
        """Tell whether ids of credentials are taken on trust.

        So a newcomer can try a bulk sign-in at once; it ends with the first credential that is added.
        """
        return self.ready_made and len(self.credentials) <= 1

    def works_with(self, credential: Credential | None) -> bool:
        """Tell whether the provider would know the app that this credential, or the default one, stands for.

        A PATCH of the settings that leaves the client's id and secret out has lost them.
        """
        own = credential or self.active
        if self.provider not in BY_OAUTH or (own and own.kind == "serviceaccount"):
            return True
        return any(app.names_an_app for app in (own, self.active) if app)


class Connectors:
    """All connectors, by provider."""

    def __init__(self, clock: Clock, ids: Ids, ready_made: Iterable[str]) -> None:
        self._clock, self._ids = clock, ids
        self._numbered = 0
        self.by_provider: dict[str, Connector] = {}
        for provider in ready_made:
            self.make_ready(provider)

    def make_ready(self, provider: str) -> Connector:
        """Return the connector of a provider; if there is none, make one that needs no settings."""
        if connector := self.by_provider.get(provider):
            return connector
        app = {"client_id": f"{provider}-app", "client_secret": self._ids.token()}
        settings: Json = (app if provider in BY_OAUTH else {}) | (
            {"tenant": "common"} if provider == "microsoft" else {}
        )
        connector = Connector(provider, provider, settings, scopes_of(provider) or None, ready_made=True)
        return self.add(connector)

    def add(self, connector: Connector) -> Connector:
        """Add a connector; its settings become its first credential, the active one."""
        self.by_provider[connector.provider] = connector
        if connector.provider in BY_OAUTH:
            name = f"{connector.provider}-default"
            first = self.add_credential(connector, name=name, kind="connector", data=connector.settings)
            connector.active_credential_id = first.id
        return connector

    def add_credential(
        self, connector: Connector, *, name: str, kind: str, data: Json, credential_id: str | None = None
    ) -> Credential:
        """Add a credential, under an id of its own unless one is given."""
        self._numbered += 1
        now = self._clock.now()
        new = Credential(credential_id or self._ids.new_id(), self._numbered, name, kind, data, now, now)
        connector.credentials[new.id] = new
        return new

    def adopt(self, provider: str, credential_id: str) -> None:
        """Know a credential that grants were seeded with, as one that can sign in all of them."""
        connector = self.make_ready(provider)
        if credential_id not in connector.credentials:
            kind = IN_BULK.get(provider, "connector")
            data = dict.fromkeys(("client_id", "client_secret"), "seeded")
            self.add_credential(connector, name=credential_id, kind=kind, data=data, credential_id=credential_id)
            connector.credentials[credential_id].consented = True
