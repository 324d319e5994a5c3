"""Nylas' own tokens: access tokens of an hour, refresh tokens, and id tokens that can be checked."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from dataclasses import dataclass

from simulator.answers import Json
from simulator.application import RefreshRules
from simulator.books import Books, Grant
from simulator.clock import Clock
from simulator.ids import Ids

LIFETIME = 3600
KEPT = 200_000


@dataclass(slots=True, eq=False)
class Family:
    """All tokens that come of one exchange: the refresh token is the parent, and revoking one revokes all."""

    grant_id: str
    audience: str
    revoked: bool = False


@dataclass(slots=True, eq=False)
class Token:
    """An access or a refresh token; a refresh token has no end of its own."""

    family: Family
    issued_at: int
    used_at: int
    expires_at: int | None = None


class Tokens:
    """The tokens that were given out; of very many the oldest are forgotten, which is as good as expired."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock, self._ids = clock, ids
        self._key = ids.token().encode()
        self._access: OrderedDict[str, Token] = OrderedDict()
        self._refresh: OrderedDict[str, Token] = OrderedDict()

    def issue_access(self, family: Family) -> str:
        """Return a new access token."""
        now = self._clock.now()
        return self._keep(self._access, Token(family, now, now, now + LIFETIME))

    def issue_refresh(self, family: Family) -> str:
        """Return a new refresh token."""
        now = self._clock.now()
        return self._keep(self._refresh, Token(family, now, now))

    def access(self, text: str) -> Token | None:
        """Return an access token that still works."""
        token = self._access.get(text)
        alive = token and not token.family.revoked and (token.expires_at or 0) > self._clock.now()
        return token if alive else None

    def use_refresh(self, text: str, rules: RefreshRules) -> Token | None:
        """Return a refresh token that still works, and count this as its use; a rotated one works once."""
        token, now = self._refresh.get(text), self._clock.now()
        if token is None or token.family.revoked:
            return None
        too_old = rules.absolute is not None and now >= token.issued_at + rules.absolute
        too_idle = rules.idle is not None and now >= token.used_at + rules.idle
        if too_old or too_idle:
            return None
        token.used_at = now
        if rules.rotate:
            del self._refresh[text]
        return token

    def grant_of(self, access_token: str, books: Books) -> Grant | None:
        """Return the grant an access token stands for; a deleted grant takes its tokens with it."""
        token = self.access(access_token)
        return books.find(token.family.grant_id) if token else None

    def revoke(self, text: str) -> bool:
        """Revoke an access token with its parent and all children of that; tell whether there was any."""
        token = self.access(text) or self._refresh.get(text)
        if token is None or token.family.revoked:
            return False
        token.family.revoked = True
        return True

    def sign(self, claims: Json) -> str:
        """Return a JWT of these claims."""
        parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims)]
        signed = ".".join(_encoded(part.encode()) for part in parts)
        return f"{signed}.{self._signature(signed)}"

    def claims(self, id_token: str) -> Json | None:
        """Return what a JWT says, if we signed it and it has not expired."""
        signed, _, signature = id_token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        claims: Json = json.loads(urlsafe_b64decode(signed.partition(".")[2] + "=="))
        return claims if claims["exp"] > self._clock.now() else None

    def _signature(self, signed: str) -> str:
        return _encoded(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())

    def _keep(self, tokens: OrderedDict[str, Token], token: Token) -> str:
        text = self._ids.token()
        tokens[text] = token
        if len(tokens) > KEPT:
            tokens.popitem(last=False)
        return text


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
