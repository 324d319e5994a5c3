"""Keeps secrets out of what errors say, in whichever form an answer echoes them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, quote_plus

SHORTEST_LINE = 12
"""How many characters a line of a longer secret has at least, to be taken for a secret itself."""


def forms_of(secrets: Iterable[str]) -> list[str]:
    """List all texts to blot out, the longest first, so that none is left half behind by a shorter one.

    Besides the secret itself: as it stands in JSON and in a URL, which an error may quote, and each
    line of one that has several, as of a private key.
    """
    return longest_first(form for secret in secrets for form in _forms(secret))


def longest_first(forms: Iterable[str]) -> list[str]:
    """Put texts to blot out in their order, each once."""
    return sorted(set(forms) - {""}, key=len, reverse=True)


def blot(text: str | None, forms: Sequence[str]) -> str | None:
    """Put stars where a secret stood."""
    for form in forms if text else ():
        text = (text or "").replace(form, "***")
    return text


def _forms(secret: str) -> Iterator[str]:
    lines = secret.splitlines()
    for text in (secret, *(line for line in lines if len(lines) > 1 and len(line) >= SHORTEST_LINE)):
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        quotable = text.encode("utf-8", "replace")
        yield quote(quotable, safe="")
        yield quote(quotable)
        yield quote_plus(quotable)
