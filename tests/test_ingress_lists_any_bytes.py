"""Whatever bytes a list is made of: lines, bad lines, or a clear error of the whole, and no secret in any of them."""

import io
import json

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingress.lists.lines import MAILBOXES, TAGS
from ingress.lists.reading import BadList, read_list
from tasks.campaigns.lines import BadLine, Line

SECRET = "S3cret/\u00fc-"
"""With signs that no name of a column has, so that it is found wherever it is shown, as it is or escaped."""

bits = st.sampled_from(
    [b'"', b",", b";", b"\t", b"\n", b"\r\n", b"{", b"}", b":", b"[", b"\x00", b"\xff", b"\\", b"@", b"1"]
)
names = st.sampled_from([name.encode() for name in (*MAILBOXES, "tag", "mail")])
secrets = st.just(SECRET.encode())
pieces = st.lists(st.one_of(bits, names, secrets, st.binary(max_size=6)), max_size=40).map(b"".join)
heads = st.sampled_from([b"", b"email,refresh_token\n", b"\xef\xbb\xbfgrant_id;imap_password;imap_port\r\n"])

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.just(SECRET),
    st.text(max_size=8).map(lambda text: SECRET + text),
    st.just([SECRET]),
    st.just({"email": SECRET}),
    st.sampled_from(["a@example.com", "google", "imap", "993"]),
)
objects = st.lists(st.dictionaries(st.sampled_from([*MAILBOXES, "mail"]), values, max_size=6), min_size=1, max_size=8)


def told_of(content: bytes) -> str:
    """Read a list; return all that is said about it, when it is seen to be one of what it may be."""
    said: list[str] = []
    for columns in (MAILBOXES, TAGS):
        try:
            results = list(read_list(io.BytesIO(content), columns))
        except BadList as error:
            said.append(str(error))
            continue
        assert all(isinstance(result, Line | BadLine) for result in results)
        numbers = [result.number for result in results]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] <= content.count(b"\n") + 1
        said += [result.reason for result in results if isinstance(result, BadLine)]
    assert all(said), "whatever is wrong is said"
    return "\n".join(said)


@given(heads, pieces)
@example(b"", SECRET.encode() + b"\nemail")
@example(b"email\n", b'"' + SECRET.encode())
@example(b"", b'{"' + SECRET.encode() + b'": 1}')
@example(b"", b'{"email": "' + b"[" * 5_000)
@example(b"", b'{"email": ' + b"[" * 50_000)
@example(b"", b'{"imap_port": ' + b"1" * 50_000)
def test_any_bytes_are_lines_bad_lines_or_a_clear_error(head: bytes, content: bytes) -> None:
    assert "S3cret" not in told_of(head + content)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no fault of the reader's
@given(objects)
def test_any_objects_are_lines_or_bad_lines_and_show_no_value(rows: list[dict[str, object]]) -> None:
    assert "S3cret" not in told_of("\n".join(json.dumps(row) for row in rows).encode())


@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(MAILBOXES)), st.just(SECRET), min_size=1), min_size=1, max_size=5)
)
def test_a_secret_in_any_column_of_a_csv_is_shown_nowhere(rows: list[dict[str, str]]) -> None:
    table = [list(MAILBOXES), *([row.get(name, "") for name in MAILBOXES] for row in rows)]
    said = told_of("\n".join(",".join(cells) for cells in table).encode())
    assert "S3cret" not in said
