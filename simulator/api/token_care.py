"""What becomes of Nylas' tokens: `/v3/connect/tokeninfo` says, `/v3/connect/revoke` decides."""

from simulator.answers import Answer, Json, data, refused_oauth
from simulator.api.tokens import ISSUER
from simulator.asked import Asked
from simulator.state import State

OF_A_TOKEN = ("iss", "aud", "sub", "email", "iat", "exp")


async def token_info(state: State, asked: Asked) -> Answer:
    """Say whose an id or access token is; the envelope is the usual one, the error is OAuth's."""
    named = [name for name in ("id_token", "access_token") if asked.query.get(name)]
    if len(named) != 1:
        raise refused_oauth("invalid_request", "Exactly one of id_token and access_token is required")
    text = asked.query[named[0]]
    claims = state.tokens.claims(text) if named == ["id_token"] else _of_access(state, text)
    if claims is None:
        raise refused_oauth("invalid_token", "Token expired or revoked")
    return data({name: claims[name] for name in OF_A_TOKEN})


async def revoke_token(state: State, asked: Asked) -> Answer:
    """Revoke a token with its parent and children. The grant stays, and so does the provider's consent."""
    token = asked.query.get("token")
    if not token:
        raise refused_oauth("invalid_request", "Missing required parameter: token")
    if not state.tokens.revoke(token):
        raise refused_oauth("invalid_token", "Token expired or revoked")
    return Answer({}, flat=True)


def _of_access(state: State, text: str) -> Json | None:
    token, grant = state.tokens.access(text), state.tokens.grant_of(text, state.books)
    if token is None or grant is None:
        return None
    return {
        "iss": ISSUER,
        "aud": token.family.audience,
        "sub": grant.id,
        "email": grant.email,
        "iat": token.issued_at,
        "exp": token.expires_at,
    }
