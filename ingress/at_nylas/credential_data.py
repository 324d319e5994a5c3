"""The data of a credential, from the options of a command: each type and provider wants something else."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ingress.at_nylas.asking import made
from ingress.secret_files import read_key_file, read_secret
from ingress.terminal import fail
from nylas_api import AdminConsent, ConnectorOverride, CredentialData

CredentialType: TypeAlias = Literal["serviceaccount", "adminconsent", "connector"]

IN_BULK: dict[str, CredentialType] = {"google": "serviceaccount", "microsoft": "adminconsent"}
"""The type that lets in an organisation as a whole, by provider."""

BY_OAUTH = ("google", "microsoft", "yahoo", "zoom")
"""The providers that have credentials at all."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was given about the data of a credential; secrets by the name of their file."""

    type: str | None = None
    key_file: str | None = None
    client_id: str | None = None
    client_secret_file: str | None = None
    tenant: str | None = None
    topic_name: str | None = None

    def given(self) -> set[str]:
        """The options that say something about the data."""
        names = ("key_file", "client_id", "client_secret_file", "tenant", "topic_name")
        return {f"--{name.replace('_', '-')}" for name in names if getattr(self, name) is not None}


def type_for(provider: str, options: Options) -> CredentialType:
    """Choose the type of a credential; exits with 2 for one that the provider does not have.

    Unless it is given: what lets in an organisation as a whole, but a client's id for google makes it another OAuth
    client. Nylas never tells the type of a credential, so changing one asks for it just as making one does.
    """
    if provider not in BY_OAUTH:
        fail(f"{provider!r} has no credentials at Nylas: only {', '.join(BY_OAUTH)} have", code=2)
    types: list[CredentialType] = [IN_BULK[provider], "connector"] if provider in IN_BULK else ["connector"]
    if options.type is None:
        return "connector" if provider == "google" and options.client_id else types[0]
    chosen = next((kind for kind in types if kind == options.type), None)
    if chosen is None:
        fail(f"--type {options.type}: for {provider} it must be {' or '.join(types)}", code=2)
    return chosen


def read_data(provider: str, kind: CredentialType, options: Options) -> CredentialData:
    """Read the data; exits with 2 where something is missing, senseless, or not of this type."""
    match kind:
        case "serviceaccount":
            _only(kind, options, "--key-file", needed={"--key-file"})
            return read_key_file(options.key_file or "")
        case "adminconsent":
            return _admin_consent(options)
        case "connector":
            extra = {"google": "--topic-name", "microsoft": "--tenant"}.get(provider, "")
            client = {"--client-id", "--client-secret-file"}
            _only(kind, options, *client, extra, needed=client)
            secret = read_secret(options.client_secret_file or "")
            return made(
                ConnectorOverride,
                client_id=options.client_id,
                client_secret=secret,
                tenant=options.tenant,
                topic_name=options.topic_name,
            )


def _admin_consent(options: Options) -> AdminConsent:
    """With a tenant alone the connector's own client is used; a client of its own may name a tenant, too."""
    client = {"--client-id", "--client-secret-file"}
    _only("adminconsent", options, *client, "--tenant", needed=client if options.given() & client else {"--tenant"})
    secret = read_secret(options.client_secret_file) if options.client_secret_file else None
    return made(AdminConsent, client_id=options.client_id, client_secret=secret, tenant=options.tenant)


def _only(kind: str, options: Options, *names: str, needed: set[str]) -> None:
    given = options.given()
    if foreign := given - set(names):
        fail(f"A credential of the type {kind} does not take {', '.join(sorted(foreign))}", code=2)
    if missing := needed - given:
        more = " (or --client-id and --client-secret-file)" if needed == {"--tenant"} else ""
        fail(f"A credential of the type {kind} needs {', '.join(sorted(missing))}{more}", code=2)
