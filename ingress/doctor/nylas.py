"""What the doctor makes of Nylas' answers: each check a function of what was said."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from ingress.at_nylas.our_grants import grants
from ingress.doctor.findings import Finding, beware, well, wrong
from models.kinds import FROM_NYLAS
from nylas_api import GRANT_TRIGGERS, Connector, Credential, NylasApplication, RedirectUri, Webhook

REGIONS = {"us": "https://api.us.nylas.com", "eu": "https://api.eu.nylas.com"}
CLOCK_MAY_DIFFER = timedelta(seconds=30)
SOON_OLD, OLD = timedelta(days=150), timedelta(days=180)


def region(application: NylasApplication, api_uri: str) -> Finding:
    """Whether the key's region is the one that we ask; a 401 would have come before, where it is not."""
    home = REGIONS.get((application.region or "").lower())
    if home and api_uri in REGIONS.values() and home != api_uri:
        return wrong("region", f"the application is of {application.region}", f"set EVERGRANT_NYLAS_API_URI={home}")
    return well("region", f"{api_uri}" + (f" ({application.region})" if application.region else ""))


def client_id(application: NylasApplication, ours: str) -> Finding:
    """Whether the client id is that of the key's application."""
    theirs = application.application_id
    if theirs is None:
        return beware("client id", "Nylas does not name the key's application", "compare it in Nylas' dashboard")
    if theirs != ours:
        return wrong(
            "client id",
            f"the API key is of the application {theirs}, and EVERGRANT_NYLAS_CLIENT_ID is {ours}",
            "set both from one application",
        )
    return well("client id", "it is that of the API key's application")


def clock(date: datetime | None, ours: datetime) -> Finding:
    """Whether our clock goes as Nylas' does."""
    if date is None:
        return beware("clock", "Nylas told no time to compare with", "see to it that NTP runs")
    off = ours - date
    if abs(off) <= CLOCK_MAY_DIFFER:
        return well("clock", f"within {max(1, round(abs(off).total_seconds()))} s of Nylas'")
    ahead = "ahead of" if off > timedelta() else "behind"
    return wrong("clock", f"{abs(off).total_seconds():.0f} s {ahead} Nylas'", "have the machine's clock set by NTP")


def callback(registered: Iterable[RedirectUri], ours: str) -> Finding:
    """Whether Nylas sends users back to us: it compares byte for byte."""
    urls = [uri.url for uri in registered if uri.deleted_at is None]
    if ours in urls:
        return well("callback URI", f"{ours} is registered")
    near = next((url for url in urls if url.rstrip("/").lower() == ours.rstrip("/").lower()), None)
    detail = f"{ours} is not registered" + (f", only {near}: the two must be the same byte for byte" if near else "")
    return wrong("callback URI", detail, "evergrant redirect-uris add")


def webhook(webhooks: Iterable[Webhook], ours: str) -> Finding:
    """Whether notifications about grants come to us."""
    mine = [one for one in webhooks if one.webhook_url == ours]
    if not mine:
        return wrong("webhook", f"none points to {ours}", "evergrant webhooks create")
    one = next((one for one in mine if one.status == "active"), mine[0])
    if one.status not in ("active", None):
        fix = f"see that web is reached from the internet, then: evergrant webhooks activate {one.id}"
        return wrong("webhook", f"{one.id} is {one.status}, so little or nothing comes", fix)
    if missing := [trigger for trigger in GRANT_TRIGGERS if trigger not in one.trigger_types]:
        wanted = sorted({*one.trigger_types, *GRANT_TRIGGERS})
        fix = f"evergrant webhooks update {one.id} {' '.join(f'--trigger {trigger}' for trigger in wanted)}"
        say = wrong if FROM_NYLAS & set(missing) else beware
        return say("webhook", f"{one.id} does not tell of {', '.join(missing)}", fix)
    return well("webhook", f"{one.id} is {one.status or 'there'}, and tells all about grants")


def connectors(there: Sequence[Connector], ours: Mapping[str, int] | None) -> list[Finding]:
    """Whether each provider that we hold grants of has its connector, and that there is one at all."""
    if not there and not ours:
        return [wrong("connector", "the application has none: nobody can sign in", "evergrant connectors create …")]
    present = {connector.provider for connector in there}
    found = []
    for provider in sorted(present | set(ours or {})):
        number = (ours or {}).get(provider, 0)
        if provider in present:
            held = f"; {grants(number)} that we hold hang on it" if number else ""
            found.append(well(f"connector {provider}", f"it is there{held}"))
        else:
            fix = f"evergrant connectors create {provider} …"
            found.append(wrong(f"connector {provider}", f"it is missing, and we hold {grants(number)} of it", fix))
    return found


def credentials(connector: Connector, there: Sequence[Credential], *, now: datetime) -> list[Finding]:
    """How old the secrets are: when Microsoft's expire nobody tells, so their age has to do, and it is a guess."""
    check = f"credentials {connector.provider}"
    ages = {one.id: now - changed for one in there if (changed := one.updated_at or one.created_at)}
    aging = [one for one in there if connector.provider == "microsoft" and ages.get(one.id, timedelta()) >= SOON_OLD]
    if aging:
        oldest_first = sorted(aging, key=lambda one: ages[one.id], reverse=True)
        return [_aging(check, connector, one, ages[one.id]) for one in oldest_first]
    if not ages:
        return [well(check, "none" if not there else f"{len(there)}, of an age that Nylas does not tell")]
    oldest = max(ages.values()).days
    return [well(check, f"{len(there)}; the oldest data is {oldest} day{'' if oldest == 1 else 's'} old")]


def _aging(check: str, connector: Connector, one: Credential, age: timedelta) -> Finding:
    guess = "many secrets of Entra ID end at 180 days" if age < OLD else "it may have ended, as many do at 180 days"
    detail = f"{one.name or one.id} is {age.days} days old; {guess} (a guess: Nylas tells no date)"
    is_active = one.id == connector.active_credential_id
    command = "connectors update microsoft" if is_active else f"credentials rotate microsoft {one.id} --check"
    fix = f"look up its date in Entra ID; with a new secret: evergrant {command} --client-id … --client-secret-file …"
    return beware(check, detail, fix)
