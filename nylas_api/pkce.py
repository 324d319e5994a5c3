"""Proof Key for Code Exchange (RFC 7636), with the challenge as Nylas computes it."""

import base64
import hashlib
import secrets


def new_code_verifier() -> str:
    """Make a verifier of 64 characters (384 random bits), kept secret until the code is exchanged."""
    return secrets.token_urlsafe(48)


def code_challenge(verifier: str) -> str:
    """Derive the challenge for `code_challenge_method=S256`.

    Nylas departs from RFC 7636: it wants base64 of the *hexadecimal* SHA-256, without padding (86
    characters), not base64url of the digest. Its SDKs all do so; the RFC's form fails at exchange.
    """
    digest = hashlib.sha256(verifier.encode()).hexdigest()
    return base64.b64encode(digest.encode()).decode().rstrip("=")
