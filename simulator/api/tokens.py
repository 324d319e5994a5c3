"""The token endpoint: a code, once, against a grant; later a refresh token or the API key against an access token."""

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

from simulator.answers import Answer, Json, refused_oauth
from simulator.asked import Asked
from simulator.books import Grant, SignIn
from simulator.logins import Login
from simulator.people import mailbox_of, name_of, provider_user_id_of
from simulator.state import State
from simulator.tokens import LIFETIME, Family

ISSUER = "https://nylas.com"


async def token(state: State, asked: Asked) -> Answer:
    """Give tokens. The answer is flat, and so is the error."""
    sent = asked.body()
    match sent.get("grant_type"):
        case "authorization_code":
            return _exchange(state, sent)
        case "refresh_token":
            return _refresh(state, sent)
        case "client_credentials":
            return _for_client(state, sent)
        case None | "":
            raise refused_oauth("invalid_request", "Missing required parameter: grant_type")
        case _:
            raise refused_oauth("unsupported_grant_type", "This grant_type is not supported")


def nylas_challenge(verifier: str) -> str:
    """Return the S256 challenge as Nylas wants it: base64, unpadded, of the *hex* of the hash.

    RFC 7636 encodes the 32 bytes themselves; every Nylas SDK encodes their 64 hex digits.
    """
    digits = hashlib.sha256(verifier.encode()).hexdigest()
    return base64.b64encode(digits.encode()).decode().rstrip("=")


def _exchange(state: State, sent: Json) -> Answer:
    _require(sent, "code")
    login = state.logins.spend(sent["code"])  # whatever goes wrong from here on, the code is burnt
    by_pkce = login is None or (login.challenge is not None and state.application.is_public(login.redirect_uri))
    _check_client(state, sent, secret_needed=not by_pkce)
    _require(sent, "redirect_uri")
    if login is None:
        raise refused_oauth("invalid_grant", "The code is invalid, expired or was already used")
    if sent["client_id"] != login.client_id or sent["redirect_uri"] != login.redirect_uri:
        raise refused_oauth("invalid_grant", "client_id or redirect_uri is not that of the authorization")
    if not _verified(login, sent.get("code_verifier")):
        raise refused_oauth("invalid_grant", "Code verifier challenge failed", 45004)

    user = SignIn(
        email=login.email,
        provider=login.provider,
        scope=login.scope,
        state=login.state,
        name=name_of(login.email),
        ip=login.ip,
        user_agent=login.user_agent,
        credential_id=login.credential_id,
        provider_user_id=provider_user_id_of(login.email),
        settings=mailbox_of(login.email, smtp=login.smtp) if login.provider == "imap" else {},
    )
    grant, new = state.books.sign_in(user)
    # The webhook sets out now, and may well be there before this answer.
    state.tell_signed_in(grant, new=new, login_id=login.id)
    at = urlsplit(login.redirect_uri)
    family = Family(grant.id, f"{at.scheme}://{at.netloc}")
    body = _tokens(state, grant, family) | {"email": grant.email, "provider": grant.provider}
    if login.offline:
        body["refresh_token"] = state.tokens.issue_refresh(family)
    return Answer(body, flat=True)


def _refresh(state: State, sent: Json) -> Answer:
    _require(sent, "refresh_token")
    _check_client(state, sent, secret_needed=True)
    rules = state.application.refresh_rules
    parent = state.tokens.use_refresh(sent["refresh_token"], rules)
    grant = state.books.find(parent.family.grant_id) if parent else None
    if parent is None or grant is None:
        raise refused_oauth("invalid_grant", "Token expired or revoked")  # RFC 6749, 5.2
    body = _tokens(state, grant, parent.family)
    if rules.rotate:
        body["refresh_token"] = state.tokens.issue_refresh(parent.family)
    return Answer(body, flat=True)


def _for_client(state: State, sent: Json) -> Answer:
    """Give the application an access token for a grant it has; no user and no refresh token is in it."""
    _check_client(state, sent, secret_needed=True)
    _require(sent, "grant_id")
    grant = state.books.by_id.get(sent["grant_id"])
    if grant is None:
        raise refused_oauth("invalid_grant", "Grant not found")
    return Answer(_tokens(state, grant, Family(grant.id, state.application_id)), flat=True)


def _require(sent: Json, name: str) -> None:
    if not isinstance(sent.get(name), str) or not sent[name]:
        raise refused_oauth("invalid_request", f"Missing required parameter: {name}")


def _check_client(state: State, sent: Json, *, secret_needed: bool) -> None:
    """Check client id and secret; a public client proves itself by PKCE and may leave the secret out."""
    _require(sent, "client_id")
    if secret_needed:
        _require(sent, "client_secret")
    secret = sent.get("client_secret")
    if not state.knows_client(sent["client_id"]) or (secret is not None and not state.knows_key(str(secret))):
        raise refused_oauth("invalid_client", "Client authentication failed")


def _verified(login: Login, verifier: object) -> bool:
    if login.challenge is None:
        return True
    if not isinstance(verifier, str):
        return False
    expected = nylas_challenge(verifier) if login.challenge_method == "s256" else verifier
    return hmac.compare_digest(expected.encode(), login.challenge.encode())


def _tokens(state: State, grant: Grant, family: Family) -> Json:
    now = state.now()
    claims = {
        "iss": ISSUER,
        "aud": state.application_id,
        "sub": grant.id,
        "email": grant.email,
        "email_verified": True,
        "name": grant.name,
        "provider": grant.provider,
        "iat": now,
        "exp": now + LIFETIME,
    }
    return {
        "access_token": state.tokens.issue_access(family),
        "expires_in": LIFETIME,
        "id_token": state.tokens.sign({name: value for name, value in claims.items() if value is not None}),
        "scope": " ".join(grant.scope),
        "token_type": "Bearer",
        "grant_id": grant.id,
    }
