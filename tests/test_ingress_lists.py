"""Lists of mailboxes: every line is understood or refused with its reason, and no reason shows what stood in it."""

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from ingress.lists.lines import MAILBOXES, TAGS
from ingress.lists.reading import MOST_BYTES, BadList, read_list
from models import Way
from nylas_api import Ews, ICloud, Imap, RefreshToken
from tasks.campaigns.lines import BadLine, Line

COLUMNS = (
    "grant_id",
    "email",
    "provider",
    "credential_id",
    "refresh_token",
    "imap_username",
    "imap_password",
    "imap_port",
)


def read(content: str | bytes, columns: Mapping[str, int] = MAILBOXES) -> list[Line | BadLine]:
    """Read a list that is held in memory."""
    return list(read_list(io.BytesIO(content.encode() if isinstance(content, str) else content), columns))


def csv_line(values: Mapping[str, str]) -> bytes:
    """A line of the CSV with all our columns."""
    return ",".join(values.get(name, "") for name in COLUMNS).encode()


def json_line(values: Mapping[str, str]) -> bytes:
    """The same as an object."""
    return json.dumps(values).encode()


def mailbox(number: int, **more: str) -> dict[str, str]:
    """A line that is right."""
    return {"email": f"user{number}@example.com", "provider": "google", "refresh_token": "HIDDEN"} | more


# What can be wrong with a line in both formats, by what its reason says.
BAD: dict[str, Callable[[int], dict[str, str]]] = {
    "neither a grant (grant_id) nor a mailbox (email)": lambda n: {"provider": "google", "refresh_token": "HIDDEN"},
    "email is not an address": lambda n: mailbox(n, email="HIDDEN"),
    "email is not an address such as": lambda n: mailbox(n, email=f"user{n}\u200b@example.com"),
    "provider is unknown": lambda n: mailbox(n, provider="HIDDEN"),
    "it names the same mailbox as line 2": lambda n: mailbox(n, email="USER2@Example.COM"),
    "it says two ways at once: credential_id and a refresh token": lambda n: mailbox(n, credential_id="HIDDEN"),
    "it says two ways at once: a refresh token and an IMAP account": lambda n: mailbox(n, imap_username="HIDDEN"),
    "an IMAP account must have imap_username as well": lambda n: {
        "email": f"u{n}@example.com",
        "imap_password": "HIDDEN",
    },
    "imap_port must be a number from 1 to 65535": lambda n: {
        "email": f"u{n}@example.com",
        "imap_username": "a",
        "imap_password": "HIDDEN",
        "imap_port": "65536",
    },
    "refresh_token is longer than 8192 characters": lambda n: mailbox(n, refresh_token="HIDDEN" * 1366),
    "a mailbox of imap is not authenticated by a refresh token": lambda n: mailbox(n, provider="imap"),
    "grant_id holds something else than ASCII": lambda n: {"grant_id": "HIDDEN HIDDEN"},
    "refresh_token holds something else than ASCII": lambda n: mailbox(n, refresh_token="HIDDEN HIDDEN"),
}
RAW_CSV = {
    "it is not UTF-8": b"HIDDEN\xff,,,,,,,",
    "NUL or another control character": b"HIDDEN\x00,,,,,,,",
    "it has 2 columns, where the header has 8": b"HIDDEN,HIDDEN",
    "its quotes can't be read": b'"HIDDEN,,,,,,,',
}
RAW_JSON = {
    "it is not UTF-8": b'{"email": "HIDDEN\xff"}',
    "email holds a control character": b'{"email": "HIDDEN\\u0000"}',
    "it is not JSON": b'{"email": "HIDDEN"',
    "it is JSON, but not an object": b'["HIDDEN"]',
    "it has an unknown field: field 1 ('mail'): did you mean email?": b'{"mail": "HIDDEN"}',
    "it has a field twice": b'{"email": "HIDDEN", "email": "HIDDEN"}',
    "email must be text, between quotes": b'{"email": 7}',
}


@pytest.mark.parametrize(
    ("head", "line_of", "raw"), [(",".join(COLUMNS).encode(), csv_line, RAW_CSV), (None, json_line, RAW_JSON)]
)
def test_of_ten_thousand_lines_the_five_hundred_bad_ones_are_told_by_number_and_reason(
    head: bytes | None, line_of: Callable[[Mapping[str, str]], bytes], raw: Mapping[str, bytes]
) -> None:
    reasons = [*BAD, *raw]
    assert len(reasons) >= 12
    lines, wrong = [head or b""], dict[int, str]()
    for number in range(2, 10_002):
        if number % 20 == 3:
            reason = wrong[number] = reasons[len(wrong) % len(reasons)]
            lines.append(raw[reason] if reason in raw else line_of(BAD[reason](number)))
        else:
            lines.append(line_of(mailbox(number)))
    good, bad = [], {}
    for result in read(b"\r\n".join(lines)):
        if isinstance(result, Line):
            good.append(result)
        else:
            bad[result.number] = result.reason
    assert (len(good), len(bad)) == (9_500, 500)
    assert bad.keys() == wrong.keys()
    assert {number: reason for number, reason in bad.items() if wrong[number] not in reason} == {}
    assert [line.number for line in good] == [number for number in range(2, 10_002) if number % 20 != 3]
    assert "HIDDEN" not in repr(bad) + repr(good[0])


def only(content: str | bytes) -> Line:
    """The one line of a list."""
    [line] = read(content)
    assert isinstance(line, Line), line
    return line


@pytest.mark.parametrize(
    "content",
    [
        "email,provider\nAda@example.com,google\n",
        "\ufeffemail;provider\r\nAda@example.com;google",
        "Email\tPROVIDER \n Ada@example.com \t Google \n\n",
        '"email","provider"\r\n"Ada@example.com","google"\r\n',
        "\n\nprovider,email\n\n\ngoogle,Ada@example.com",
        '{"email": "Ada@example.com", "provider": "google", "grant_id": null, "refresh_token": ""}',
        '\ufeff\n  {"email":"Ada@example.com","provider":"google"}\r\n\r\n',
    ],
)
def test_the_same_list_can_be_written_in_many_ways(content: str) -> None:
    line = only(content)
    assert (line.email, line.provider, line.way) == ("Ada@example.com", "google", None)


@pytest.mark.parametrize(
    ("fields", "provider", "settings", "way"),
    [
        (
            {"provider": "google", "refresh_token": "1//x", "connector_credential_id": "c"},
            "google",
            RefreshToken.model_validate({"refresh_token": "1//x", "credential_id": "c"}),
            Way.REFRESH,
        ),
        (
            {"imap_username": "ada", "imap_password": ' p,w" ', "imap_port": 993, "smtp_host": "smtp.example.com"},
            "imap",
            Imap.model_validate(
                {"imap_username": "ada", "imap_password": ' p,w" ', "imap_port": 993, "smtp_host": "smtp.example.com"}
            ),
            Way.IMAP,
        ),
        (
            {"username": "ada", "password": "pw"},
            "icloud",
            ICloud.model_validate({"username": "ada", "password": "pw"}),
            Way.IMAP,
        ),
        (
            {"ews_username": "ada", "ews_password": "pw", "ews_port": "443"},
            "ews",
            Ews.model_validate(
                {"email": "a@example.com", "ews_username": "ada", "ews_password": "pw", "ews_port": 443}
            ),
            Way.IMAP,
        ),
    ],
)
def test_a_line_may_carry_what_its_mailbox_is_authenticated_by(
    fields: dict[str, object], provider: str, settings: object, way: Way
) -> None:
    line = only(json.dumps({"email": "a@example.com", **fields}))
    assert (line.provider, line.settings, line.way, line.credential_id) == (provider, settings, way, None)
    cells = ['"' + str(value).replace('"', '""') + '"' for value in fields.values()]
    assert only(f"email,{','.join(fields)}\na@example.com,{','.join(cells)}").settings == settings


def test_a_credential_is_a_way_of_google_and_microsoft() -> None:
    assert only("email,provider,credential_id\na@example.com,microsoft,c").way is Way.CREDENTIAL
    [bad] = read("email,provider,credential_id\na@example.com,yahoo,HIDDEN")
    assert isinstance(bad, BadLine)
    assert bad.reason.startswith("yahoo has no credential that lets in a whole organisation")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        ("\ufeff\r\n \n", "is empty"),
        ("email\n", "names nobody: there is nothing after its header"),
        ("provider\ngoogle", "neither a column grant_id nor a column email"),
        ("HIDDEN,1//HIDDEN\nHIDDEN,HIDDEN", "has no header: its first line must name the columns"),
        ("email,e_mail\nHIDDEN,x", "column 2 ('e_mail'): did you mean email?"),
        ("email,1//HIDDEN\nHIDDEN,x", "column 2. There are grant_id, email,"),
        ("email,Email\nHIDDEN,x", "has the column email twice"),
        ("email,\nHIDDEN,x", "has an unknown column: column 2"),
        ('"email\nHIDDEN', "can't be read: its quotes"),
        (b"HIDDEN\xff\nHIDDEN", "can't be read: it is not UTF-8"),
        (b"HIDDEN\x00\nHIDDEN", "can't be read: it holds NUL"),
        ("email\na@example.com".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        ('[{"email": "HIDDEN"}]', "is a JSON array: write its objects one a line"),
        ("HIDDEN" * MOST_BYTES, "its first line is longer than 64 KiB"),
    ],
)
def test_what_is_no_list_as_a_whole_is_refused_before_any_line(content: str | bytes, why: str) -> None:
    with pytest.raises(BadList) as refused:
        read(content)
    assert why in str(refused.value)
    assert "HIDDEN" not in str(refused.value)


def reasons(results: Iterable[Line | BadLine]) -> dict[int, str]:
    """The bad lines, by their numbers."""
    return {bad.number: bad.reason for bad in results if isinstance(bad, BadLine)}


def test_a_quote_that_is_not_closed_spoils_its_own_line_only() -> None:
    results = read('email\n"a@example.com\nb@example.com\n"c@example.com"x\nd@example.com')
    assert list(reasons(results)) == [2, 4]
    assert [line.number for line in results if isinstance(line, Line)] == [3, 5]


def test_a_line_that_is_too_long_is_passed_over() -> None:
    results = read(b"email\n" + b"x" * (3 * MOST_BYTES) + b"\na@example.com\n" + b"x" * (2 * MOST_BYTES))
    assert reasons(results) == {2: "it is longer than 64 KiB", 4: "it is longer than 64 KiB"}
    assert [line.number for line in results] == [2, 3, 4]


def test_a_mailbox_is_named_once_by_each_list_and_a_bad_line_does_not_count() -> None:
    results = read(
        "grant_id,email,provider\n"
        "g-1,a@example.com,\ng-1,,\ng-2,a@example.com,\n,a@example.com,nobody\n,a@example.com,google\n"
        ",A@example.com,microsoft\n,A@EXAMPLE.com,Google\n"
    )
    assert reasons(results) == {
        3: "it names the same grant as line 2",
        5: reasons(results)[5],
        8: "it names the same mailbox as line 6",
    }
    assert "provider is unknown" in reasons(results)[5]


def test_a_list_of_tags_takes_a_grant_once_for_each_tag_and_no_secret() -> None:
    results = read("grant_id,tag\ng-1,vip\ng-1,eu/west\ng-1,vip\ng-2,a tag\ng-3,\n", TAGS)
    assert reasons(results) == {
        4: "it names the same grant as line 2",
        5: "tag must be letters, digits, and the signs . : / - _",
    }
    assert [line.tag for line in results if isinstance(line, Line)] == ["vip", "eu/west", None]
    with pytest.raises(BadList, match="unknown column: column 2"):
        read("email,refresh_token\na@example.com,x", TAGS)
    with pytest.raises(BadList, match="unknown column: column 2"):
        read("email,tag\na@example.com,x")


def test_the_lists_that_the_page_shows_can_be_read_as_they_stand() -> None:
    page = (Path(__file__).parent.parent / "docs" / "lists.md").read_text()
    shown = re.findall(r"```(csv|json)\n(.*?)```", page, re.S)
    assert [kind for kind, _ in shown] == ["csv", "json", "csv"]
    for number, (_, content) in enumerate(shown):
        results = read(content.encode(), TAGS if number == 2 else MAILBOXES)
        assert reasons(results) == {}
        assert results
