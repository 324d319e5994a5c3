"""Hosted OAuth, the browser's part: `/v3/connect/auth` and the user's consent."""

from dataclasses import replace

from simulator.answers import Answer, redirect, refused
from simulator.api.authorization import login_of
from simulator.asked import Asked, one_of
from simulator.consent_page import consent_page
from simulator.logins import Login
from simulator.state import State

OTHER_EMAIL = "Email addresses did not match during re-authentication."
FEWER_SCOPES = (
    "Some requested scopes were not included in the completed hosted auth, resulting in denied authentication."
)


async def authorize(state: State, asked: Asked) -> Answer:
    """Send the browser back with a code, show the consent page, or say no: as `/_sim/consent` has it."""
    login = login_of(state, asked)
    match state.logins.consent:
        case "page":
            state.logins.asked[login.id] = login
            return Answer(consent_page(login))
        case "deny":
            return redirect(login.denied())
        case _:
            return redirect(_allowed(state, login))


async def consent(state: State, asked: Asked) -> Answer:
    """Take the user's answer to the consent page: who they are, where, what they allow, and whether at all.

    `scope` is what was left ticked; a form that has no such field has left everything as it was.
    """
    login = state.logins.asked.pop(asked.ref, None)
    if login is None:
        raise refused(400, "grant.login_id_invalid", "Login ID or request is invalid or has expired.")
    sent = asked.body()
    if one_of(sent.get("answer"), "allow", "deny") == "deny":
        return redirect(login.denied())
    provider = one_of(sent.get("provider", login.provider), *login.providers)
    connector = state.connectors.by_provider.get(provider)
    if provider != login.provider and connector:
        login = replace(login, provider=provider, scope=connector.asks_for)
    # A login hint does not bind the user: another account may be picked.
    login = replace(login, email=sent.get("email") or login.email)
    if not set(login.scope) <= set(sent.get("scope", " ".join(login.scope)).split()):
        return redirect(login.failed("invalid_scope", FEWER_SCOPES))
    return redirect(_allowed(state, login))


def _allowed(state: State, login: Login) -> str:
    """Return where a user goes who said yes: back with a code, unless something stands against it."""
    connector = state.connectors.by_provider.get(login.provider)
    credential = connector.credentials.get(login.credential_id or "") if connector else None
    if connector is None or not connector.works_with(credential):
        return login.failed("invalid_client", "The client id or secret of the connector is missing.")
    if (login.credential_id or connector.active_credential_id) in state.broken_credentials:
        return login.failed("invalid_client", "The provider refused the client id or secret of the connector.")
    if login.for_admin:
        if credential:
            credential.consented = True
        return login.back(admin_consent="true")
    if login.known_as is not None and login.known_as.lower() != login.email.lower():
        return login.failed("invalid_request", OTHER_EMAIL)
    return login.back(code=state.logins.code_for(login))
