"""The commands about credentials: what whole organisations, and other OAuth clients, sign in by."""

from collections.abc import AsyncIterator
from dataclasses import replace

from ingress.at_nylas import our_grants
from ingress.at_nylas.asking import give_up
from ingress.at_nylas.connectors import the_connector
from ingress.at_nylas.credential_data import BY_OAUTH, Options, read_data, type_for
from ingress.at_nylas.our_grants import grants
from ingress.at_nylas.printing import Flat, put_list, put_one
from ingress.at_nylas.trial import try_one
from ingress.campaigns import start
from ingress.terminal import agree, fail, out, say
from models import Campaign
from nylas_api import Connector, Credential, NotFound, Rejected
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.requests import CampaignRequest
from worker.runtime import Runtime

COLUMNS = ("id", "provider", "name", "is_active", "grants", "created_at", "updated_at")


async def list_credentials(runtime: Runtime, provider: str | None, *, as_json: bool) -> None:
    """Print the credentials of one connector, or of all, each with the number of our grants that use it."""
    counts = await our_grants.by_credential(runtime)
    rows = [
        _flat(connector, credential) | {"grants": counts.get(credential.id, 0)}
        for connector in await _connectors(runtime, provider)
        async for credential in all_of(runtime, connector.provider)
    ]
    put_list(rows, COLUMNS, as_json=as_json)


async def create_credential(runtime: Runtime, provider: str, name: str, options: Options, *, as_json: bool) -> None:
    """Add a credential; for an admin's consent, say where the admin gives it."""
    kind = type_for(provider, options)
    data = read_data(provider, kind, options)
    connector = await the_connector(runtime, provider)
    credential = (await runtime.context.nylas.credentials.create(provider, name=name, data=data)).data
    consent = _consent_url(runtime, credential.id) if kind == "adminconsent" else None
    shown = _flat(connector, credential) | {"type": kind, "admin_consent_url": consent}
    if as_json:
        put_one(shown, as_json=True)
    elif consent:
        say(f"The credential is {credential.id}.")
        out.print(consent, soft_wrap=True, markup=False)
    else:
        put_one(shown, as_json=False)
    if consent:
        say(
            "Next an administrator of the tenant opens that address and consents. It worked if the browser ends at an "
            "address with admin_consent=true in it, where Evergrant says thank you. "
            f"{runtime.settings.callback_url} must be registered: evergrant redirect-uris list"
        )


async def rotate_credential(
    runtime: Runtime,
    provider: str,
    credential_id: str,
    options: Options,
    *,
    check: bool,
    renew: str | None,
    as_json: bool,
) -> None:
    """Replace the data of a credential whole; say what to run next. Exits with 1 if the check fails.

    Nylas does not say what becomes of the grants: a bulk re-authentication makes sure. With `renew` (how many failures
    it bears) that is started here, as a campaign, once one grant was renewed. The active credential of a
    connector is the OAuth client that the connector was made with, whatever other types the provider has.
    """
    connector = await the_connector(runtime, provider)
    if credential_id == connector.active_credential_id and options.type is None:
        options = replace(options, type="connector")
    kind = type_for(provider, options)
    check = check or renew is not None
    if check and kind == "connector":
        fail(
            "--check can't be, nor --renew: grants of another OAuth client are renewed by their users, "
            "not by the credential",
            code=2,
        )
    data = read_data(provider, kind, options)
    try:
        credential = (await runtime.context.nylas.credentials.update(provider, credential_id, data=data)).data
    except NotFound as error:
        give_up(error, _where_to_look(provider))
    number = await our_grants.count(runtime, provider=provider, credential_id=credential_id)
    say(f"The data of {credential.name or credential_id} is replaced. It carries {grants(number)} that we hold.")
    tried = await try_one(runtime, provider, credential_id) if check else None
    bulk = f"evergrant reauth --provider {provider} --credential {credential_id}" if kind != "connector" else None
    campaign = await _renew_all(runtime, provider, credential_id, renew) if tried and tried.outcome == "ok" else None
    if as_json:
        told = {"check": tried.outcome, "checked_grant": tried.grant_id} if tried else {"check": None}
        told |= {"campaign_id": str(campaign.id)} if campaign else {}
        put_one(_flat(connector, credential) | {"type": kind, "grants": number, "next": bulk} | told, as_json=True)
    if tried:
        say(tried.in_words)
    if tried and tried.outcome == "failed":
        fail("Don't renew the others before one works: mend the credential, and rotate it again.")
    if campaign:
        say(f"Campaign {campaign.id} renews all of its grants: evergrant campaigns show {campaign.id}")
    elif bulk is None:
        say("Grants of the same client id go on; those of another client must be renewed by their users.")
    elif number:
        say(f"Next renew the grants that use it: {bulk}")


async def _renew_all(runtime: Runtime, provider: str, credential_id: str, max_failures: str | None) -> Campaign | None:
    if max_failures is None:
        return None
    whom = GrantFilter(provider=provider, credential_id=credential_id)
    return await start(runtime.context, CampaignRequest(filter=whom, max_failures=max_failures))


async def delete_credential(runtime: Runtime, provider: str, credential_id: str, *, yes: bool, as_json: bool) -> None:
    """Delete a credential, after saying how many of our grants stop with it."""
    try:
        credential = (await runtime.context.nylas.credentials.get(provider, credential_id)).data
    except NotFound as error:
        give_up(error, _where_to_look(provider))
    number = await our_grants.count(runtime, provider=provider, credential_id=credential_id)
    say(f"{credential.name or credential_id} carries {grants(number)} that we hold; whatever uses it stops at once.")
    agree(f"Delete the credential {credential_id} of {provider}?", yes=yes)
    try:
        await runtime.context.nylas.credentials.delete(provider, credential_id)
    except Rejected as error:
        give_up(
            error,
            "The active credential of a connector can't be deleted; make another one active first: "
            f"evergrant connectors update {provider} --active-credential ID",
        )
    if as_json:
        put_one({"id": credential_id, "provider": provider, "deleted": True, "grants": number}, as_json=True)
    say("The credential is deleted.")


async def all_of(runtime: Runtime, provider: str) -> AsyncIterator[Credential]:
    """Each credential of a connector, oldest first."""
    async for page in runtime.context.nylas.credentials.each_page(provider):
        for credential in page.data:
            yield credential


async def _connectors(runtime: Runtime, provider: str | None) -> list[Connector]:
    if provider is not None:
        return [await the_connector(runtime, provider)]
    connectors = (await runtime.context.nylas.connectors.list()).data
    return [connector for connector in connectors if connector.provider in BY_OAUTH]


def _consent_url(runtime: Runtime, credential_id: str) -> str:
    return runtime.context.nylas.auth.admin_consent_url(
        redirect_uri=runtime.settings.callback_url, credential_id=credential_id
    )


def _where_to_look(provider: str) -> str:
    return f"See which there are: evergrant credentials list {provider}"


def _flat(connector: Connector, credential: Credential) -> Flat:
    return {
        "id": credential.id,
        "provider": connector.provider,
        "name": credential.name,
        "is_active": credential.id == connector.active_credential_id,
        "created_at": credential.created_at,
        "updated_at": credential.updated_at,
    }
