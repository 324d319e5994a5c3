"""Whose account came back from a re-authentication, as a table of cases."""

from dataclasses import replace

import pytest

from lifecycle.identity import Identity, mismatch

ADA = Identity("grant-a", "google", "ada@example.com", "1234")


@pytest.mark.parametrize(
    "came",
    [
        ADA,
        replace(ADA, email="ADA@Example.COM"),
        replace(ADA, email=None),
        replace(ADA, provider_user_id=None),
        Identity("grant-a", "google"),
    ],
)
def test_the_same_account_is_the_same_and_what_is_unknown_contradicts_nothing(came: Identity) -> None:
    assert mismatch(ADA, came) is None
    assert mismatch(came, ADA) is None


@pytest.mark.parametrize(
    ("came", "because"),
    [
        (replace(ADA, provider="microsoft"), "the provider is microsoft, not google"),
        (replace(ADA, email="bob@example.com"), "the email address is another one"),
        (replace(ADA, email="ada@example.org"), "the email address is another one"),
        (replace(ADA, email="ada+work@example.com"), "the email address is another one"),
        (replace(ADA, provider_user_id="1235"), "the provider's user id is another one"),
        (replace(ADA, grant_id="grant-b"), "it is another grant"),
        (Identity("grant-b", "google"), "it is another grant"),
        (replace(ADA, email=None, provider_user_id="1235"), "the provider's user id is another one"),
        (replace(ADA, provider="imap", email="bob@example.com"), "the provider is imap, not google"),
    ],
)
def test_another_account_is_told_by_the_first_thing_that_differs(came: Identity, because: str) -> None:
    assert mismatch(ADA, came) == because


def test_the_reason_names_nobody() -> None:
    """It stands in logs and pages."""
    bob = Identity("grant-b", "google", "bob@example.com", "5678")
    told = f"{mismatch(ADA, bob)} {mismatch(replace(ADA, email=None), bob)}"
    assert not any(secret in told for secret in ("ada@", "bob@", "1234", "5678"))
