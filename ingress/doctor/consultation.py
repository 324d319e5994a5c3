"""What the doctor asks Nylas, and what becomes of it where Nylas does not answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from ingress.at_nylas.asking import in_words
from ingress.at_nylas.credential_data import BY_OAUTH
from ingress.doctor import nylas as checks
from ingress.doctor.findings import Finding, well, wrong
from nylas_api import Answer, Connector, HttpClient, KeyRejected, NylasClient, NylasError, open_http
from tasks.clock import system_clock
from worker.settings import Settings

T = TypeVar("T")

US, EU = checks.REGIONS["us"], checks.REGIONS["eu"]
OTHER_REGION = {US: EU, EU: US}
"""Where a key may belong that is refused. No other host is ever sent the key."""

PATIENCE = timedelta(seconds=10)


async def consult(
    settings: Settings, providers: Mapping[str, int] | None, *, other_region: Mapping[str, str] = OTHER_REGION
) -> list[Finding]:
    """Ask Nylas about all that must be right there; `providers` says how many of our grants hang on each connector."""
    async with open_http(connections=4) as http:
        try:
            client = _client(settings, settings.nylas_api_uri, http)
            answer = await client.applications.get()
        except ValueError as error:
            return [wrong("api key", str(error), "copy EVERGRANT_NYLAS_API_KEY again, from Nylas' dashboard")]
        except KeyRejected as error:
            return [await _refused(settings, error, other_region.get(settings.nylas_api_uri), http)]
        except NylasError as error:
            return [wrong("nylas", in_words(error), f"can this machine reach {settings.nylas_api_uri}?")]
        found = [
            well("api key", "Nylas takes it"),
            checks.region(answer.data, settings.nylas_api_uri),
            checks.client_id(answer.data, settings.nylas_client_id),
            checks.clock(answer.date, answer.asked_at),
        ]
        parts = await asyncio.gather(
            _judged(
                "callback URI", client.redirect_uris.list(), lambda it: [checks.callback(it, settings.callback_url)]
            ),
            _judged("webhook", client.webhooks.list(), lambda it: [checks.webhook(it, settings.webhook_url)]),
            _connectors(client, providers),
        )
        return [*found, *(finding for part in parts for finding in part)]


async def _connectors(client: NylasClient, providers: Mapping[str, int] | None) -> list[Finding]:
    there: tuple[Connector, ...] = ()

    def judge(connectors: tuple[Connector, ...]) -> list[Finding]:
        nonlocal there
        there = connectors
        return checks.connectors(connectors, providers)

    found = await _judged("connector", client.connectors.list(), judge)
    for connector in there:
        if connector.provider in BY_OAUTH:
            found += await _credentials(client, connector)
    return found


async def _credentials(client: NylasClient, connector: Connector) -> list[Finding]:
    oldest_data = client.credentials.list(connector.provider, sort_by="updated_at", order_by="asc")
    return await _judged(
        f"credentials {connector.provider}",
        oldest_data,
        lambda there: checks.credentials(connector, there, now=system_clock()),
    )


async def _judged(check: str, asked: Awaitable[Answer[T]], judge: Callable[[T], list[Finding]]) -> list[Finding]:
    """Judge an answer; where Nylas gives none, that is what was found."""
    try:
        return judge((await asked).data)
    except NylasError as error:
        return [wrong(check, in_words(error), "ask again; if it stays so, Nylas' support knows the request by its id")]


async def _refused(settings: Settings, error: KeyRejected, other: str | None, http: HttpClient) -> Finding:
    """Find out whether a key that is refused belongs to the other region."""
    fix = "copy the key again, from Nylas' dashboard, into EVERGRANT_NYLAS_API_KEY"
    if other is None:
        return wrong("api key", in_words(error), f"{fix}, and see that EVERGRANT_NYLAS_API_URI is of its region")
    try:
        await _client(settings, other, http).applications.get()
    except NylasError:
        return wrong("api key", f"{in_words(error)} Neither does {other} take it.", fix)
    return wrong(
        "region", f"the API key is of another region: {other} takes it", f"set EVERGRANT_NYLAS_API_URI={other}"
    )


def _client(settings: Settings, api_uri: str, http: HttpClient) -> NylasClient:
    """A client for a dozen calls by a person: they need no leave of the workers' budget, which Redis may not give."""
    return NylasClient(
        api_uri=api_uri,
        api_key=settings.nylas_api_key.get_secret_value(),
        client_id=settings.nylas_client_id,
        http=http,
        deadline=PATIENCE,
        now=system_clock,
    )
