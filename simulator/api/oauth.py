"""Hosted OAuth, the browser's part: `/v3/connect/auth` and the user's consent."""

from dataclasses import replace

from simulator.answers import Answer, bad_request, redirect, refused
from simulator.asked import Asked, one_of
from simulator.consent_page import consent_page
from simulator.logins import Login
from simulator.state import State

PROVIDERS = ("google", "microsoft", "imap", "icloud", "yahoo", "ews", "zoom")


async def authorize(state: State, asked: Asked) -> Answer:
    """Send the browser back with a code, show the consent page, or say no: as `/_sim/consent` has it."""
    login = _login(state, asked)
    match state.logins.consent:
        case "page":
            state.logins.asked[login.id] = login
            return Answer(consent_page(login))
        case "deny":
            return redirect(state.logins.denied(login))
        case _:
            return redirect(state.logins.allowed(login))


async def consent(state: State, asked: Asked) -> Answer:
    """Take the user's answer to the consent page: who they are, and whether they allow it."""
    login = state.logins.asked.pop(asked.ref, None)
    if login is None:
        raise refused(400, "grant.login_id_invalid", "Login ID or request is invalid or has expired.")
    answer = one_of(asked.body().get("answer"), "allow", "deny")
    # A login hint does not bind the user: another account may be picked.
    login = replace(login, email=asked.body().get("email") or login.email)
    return redirect(state.logins.allowed(login) if answer == "allow" else state.logins.denied(login))


def _login(state: State, asked: Asked) -> Login:
    query = asked.query
    for name in ("client_id", "redirect_uri", "response_type"):
        if not query.get(name):
            raise bad_request(f"Missing required parameter: {name}")
    if not state.knows_client(query["client_id"]):
        raise bad_request("Unknown client_id")
    if query["response_type"] != "code":
        raise bad_request("response_type must be code")
    if not state.logins.allows(query["redirect_uri"]):
        kind = "grant.callback_uri_not_allowed"
        raise refused(400, kind, "callback_uri is not allowed for this connector.")
    if len(query.get("state", "")) > 256:
        raise bad_request("state is longer than 256 characters")

    email = query.get("login_hint") or state.logins.guest()
    known = state.books.find(email)
    provider = (query.get("provider") or (known.provider if known else "google")).split(",")[0]
    if provider not in PROVIDERS and not known:
        raise bad_request("Unknown provider")
    return Login(
        id=state.logins.new_id(),
        client_id=query["client_id"],
        redirect_uri=query["redirect_uri"],
        provider=provider,
        email=email,
        scope=query["scope"].split() if query.get("scope") else None,
        state=query.get("state"),
        offline=query.get("access_type") == "offline",
        challenge=query.get("code_challenge"),
        challenge_method=one_of(query.get("code_challenge_method", "plain").lower(), "plain", "s256"),
        ip=asked.request.remote,
        user_agent=asked.request.headers.get("User-Agent"),
    )
