"""Secrets that a command is given: read from a file or from stdin, and refused without a word of them shown."""

import getpass
import json
import sys
from pathlib import Path

from pydantic import SecretStr

from ingress.terminal import fail
from nylas_api import ServiceAccount

STDIN = "-"
MOST_BYTES = 64 * 1024


def read_secret(path: str) -> SecretStr:
    """Read a secret of one line; exits with 2 if the file can't be read, or holds nothing, or something else."""
    is_typed = path == STDIN and sys.stdin.isatty()
    text = (getpass.getpass("The secret (it is not shown): ") if is_typed else _read(path)).strip()
    if not text:
        fail(f"{_name(path)} is empty: it should hold the secret, and nothing else", code=2)
    if text.startswith(("{", "[")):
        fail(f"{_name(path)} holds JSON: put the text of the secret alone into it", code=2)
    if len(text.splitlines()) > 1:
        fail(f"{_name(path)} holds more than one line: it should hold the secret, and nothing else", code=2)
    if not text.isprintable():
        fail(f"{_name(path)} holds characters that no secret has", code=2)
    return SecretStr(text)


def read_key_file(path: str) -> ServiceAccount:
    """Read the key file of a Google service account; exits with 2, naming what is missing, if it is none."""
    text, name = _read(path), _name(path)
    if not text.strip():
        fail(f"{name} is empty: it should be the key file (JSON) that Google Cloud gives for a service account", code=2)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        fail(f"{name} is not a JSON object: Google Cloud gives the key of a service account as one", code=2)
    if fields.get("type", "service_account") != "service_account":
        fail(f"{name} is the key of something else: its type is not service_account", code=2)
    needed = [name for name, field in ServiceAccount.model_fields.items() if field.is_required()]
    if missing := [name for name in needed if not isinstance(fields.get(name), str) or not fields[name].strip()]:
        fail(f"{name} lacks {', '.join(missing)}: it is not the whole key file of a service account", code=2)
    if "PRIVATE KEY-----" not in fields["private_key"]:
        fail(f"{name}: its private_key is not a key in PEM form (-----BEGIN PRIVATE KEY-----)", code=2)
    return ServiceAccount.model_validate(fields)


def _read(path: str) -> str:
    try:
        if path == STDIN:
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        fail(f"{_name(path)} can't be read: {error.strerror or type(error).__name__}", code=2)
    if len(raw) > MOST_BYTES:
        fail(f"{_name(path)} is larger than any secret ({MOST_BYTES // 1024} KiB)", code=2)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        fail(f"{_name(path)} is not text", code=2)


def _name(path: str) -> str:
    return "What came on stdin" if path == STDIN else path
