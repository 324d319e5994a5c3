"""Secrets from files and stdin: what is no secret, or no key file, is refused without a word of it shown."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from ingress.secret_files import MOST_BYTES, read_key_file, read_secret
from tests.installed import file

KEY = {"private_key_id": "HIDDEN-1", "private_key": "-----BEGIN PRIVATE KEY-----\nHIDDEN", "client_email": "HIDDEN-2"}
WORDS = "HIDDEN"


def refusal(read: Callable[[str], object], path: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said when a file is refused; never a word of what is in it."""
    with pytest.raises(typer.Exit) as refused:
        read(path)
    said = capsys.readouterr()
    assert refused.value.exit_code == 2
    assert said.out == ""
    assert WORDS not in said.err
    return " ".join(said.err.split())


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "  s3cret \r\n", "\ufeffs3cret"])
def test_a_secret_is_read_without_what_editors_add(tmp_path: Path, content: str) -> None:
    secret = read_secret(file(tmp_path, content))
    assert secret.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(secret)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ('{"client_secret": "HIDDEN"}', "holds JSON"),
        ("HIDDEN\nHIDDEN", "holds more than one line"),
        ("HIDDEN\x00\x07", "holds characters that no secret has"),
        (b"HIDDEN\xff\xfe", "is not text"),
        ("HIDDEN" * MOST_BYTES, "is larger than any secret (64 KiB)"),
    ],
)
def test_what_is_no_secret_is_refused(
    tmp_path: Path, content: str | bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert why in refusal(read_secret, file(tmp_path, content), capsys)


@pytest.mark.parametrize("read", [read_secret, read_key_file])
def test_a_file_that_can_t_be_read_is_refused(
    tmp_path: Path, read: Callable[[str], object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "can't be read: No such file or directory" in refusal(read, str(tmp_path / "none"), capsys)
    assert "can't be read: Is a directory" in refusal(read, str(tmp_path), capsys)


def test_a_key_file_is_read_whole(tmp_path: Path) -> None:
    account = read_key_file(file(tmp_path, json.dumps(KEY | {"project_id": "p", "type": "service_account"})))
    assert account.body() == KEY | {"project_id": "p", "type": "service_account"}
    assert "BEGIN PRIVATE KEY" not in repr(account)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty: it should be the key file (JSON)"),
        ("HIDDEN", "is not a JSON object"),
        ('["HIDDEN"]', "is not a JSON object"),
        ("[" * 10_000, "is not a JSON object"),
        (json.dumps({}), "lacks private_key_id, private_key, client_email"),
        (json.dumps(KEY | {"private_key": " "}), "lacks private_key:"),
        (json.dumps(KEY | {"client_email": 7}), "lacks client_email:"),
        (json.dumps(KEY | {"private_key": "HIDDEN"}), "its private_key is not a key in PEM form"),
        (json.dumps(KEY | {"type": "HIDDEN"}), "its type is not service_account"),
        (json.dumps({"installed": {"client_secret": "HIDDEN"}}), "lacks private_key_id"),
    ],
)
def test_what_is_no_key_file_is_refused(
    tmp_path: Path, content: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert why in refusal(read_key_file, file(tmp_path, content), capsys)
