"""Scopes: what was granted against what is wanted, in whatever way each provider spells it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.scopes import GRAPH, ignores_case, missing, spellings

LONG = "https://www.googleapis.com/auth/"
SCOPES = (
    *("openid", "email", "profile", f"{LONG}userinfo.email", f"{LONG}userinfo.profile", f"{LONG}gmail.send"),
    *("Mail.Read", "mail.read", f"{GRAPH}Mail.Read", "https://GRAPH.microsoft.com/mail.read", "User.Read"),
)


@pytest.mark.parametrize(
    ("provider", "wanted", "granted", "lacks"),
    [
        ("google", [f"{LONG}gmail.send"], [f"{LONG}gmail.send", "openid"], ()),
        ("google", [f"{LONG}gmail.send", "openid"], ["openid"], (f"{LONG}gmail.send",)),
        ("google", ["email", "profile"], [f"{LONG}userinfo.email", f"{LONG}userinfo.profile"], ()),
        ("google", [f"{LONG}userinfo.email"], ["email"], ()),
        ("google", [f"{LONG}gmail.send"], [f"{LONG}gmail.SEND"], (f"{LONG}gmail.send",)),
        ("microsoft", ["Mail.Read", "offline_access"], [f"{GRAPH}mail.read"], ()),
        ("microsoft", [f"{GRAPH}Mail.Read", f"{GRAPH}Mail.Send"], ["Mail.Read"], (f"{GRAPH}Mail.Send",)),
        ("microsoft", ["offline_access"], [], ()),
        ("yahoo", ["email"], [f"{LONG}userinfo.email"], ("email",)),
        ("ews", ["ews.calendars"], ["ews.calendars"], ()),
        ("imap", [], [], ()),
        ("google", ["b", "a", "c"], ["a"], ("b", "c")),
    ],
)
def test_a_scope_is_missing_if_it_was_not_granted_in_any_spelling(
    provider: str, wanted: list[str], granted: list[str], lacks: tuple[str, ...]
) -> None:
    assert missing(wanted, granted, provider=provider) == lacks


@given(st.sampled_from(["google", "microsoft", "yahoo"]), st.sampled_from(SCOPES), st.sampled_from(SCOPES))
def test_the_spellings_of_a_scope_are_all_by_which_it_is_not_missing(provider: str, wanted: str, granted: str) -> None:
    told = granted.lower() if ignores_case(provider) else granted
    assert (told in spellings(wanted, provider)) == (not missing([wanted], [granted], provider=provider))
