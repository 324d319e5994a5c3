"""The secrets that notices are signed by: `whsec_` and base64, as Standard Webhooks has them."""

import base64
import binascii
import os

PREFIX = "whsec_"
FEWEST, MOST = 24, 64


class BadSecret(ValueError):
    """It can't be a secret; the message says what is wrong with it, without telling it."""


def read_secrets(text: str) -> list[str]:
    """Read one secret, or several with commas between, newest first. Raises BadSecret.

    Source: Standard Webhooks, "Symmetric signatures": 24 to 64 bytes of randomness.
    """
    secrets = [part.strip() for part in text.split(",") if part.strip()]
    if not secrets:
        raise BadSecret("it is empty")
    for secret in secrets:
        try:
            size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if not FEWEST <= size <= MOST:
            raise BadSecret(
                "a secret is whsec_ and 24 to 64 random bytes in base64; make one with: "
                'echo "whsec_$(openssl rand -base64 32)"'
            )
    return secrets


def new_secret() -> str:
    """Make a secret of 32 bytes."""
    return PREFIX + base64.b64encode(os.urandom(32)).decode()
