"""The page about notices: each kind with a body that has the fields that are sent, and a snippet that verifies."""

import json
import re
import runpy
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from models import NoticeKind
from tasks.notices.message import headers
from tasks.notices.secrets import new_secret
from tests.commands import leaf
from tests.test_compose import SETTINGS, blocks, settings_named

PAGE = (Path(__file__).parent.parent / "docs" / "notices.md").read_text()
BODIES: dict[str, dict[str, Any]] = {body["type"]: body for body in map(json.loads, blocks(PAGE, "json"))}
OF_A_GRANT = {"grant_id", "provider", "email", "status", "sequence"}


def test_every_kind_has_a_body_and_there_is_no_other() -> None:
    assert set(BODIES) == {kind.value for kind in NoticeKind}
    assert all(set(body) == {"type", "timestamp", "data"} for body in BODIES.values())


@pytest.mark.parametrize("kind", [kind for kind in BODIES if kind.startswith("grant.")])
def test_what_is_told_of_a_grant_has_what_all_of_it_has(kind: str) -> None:
    data = BODIES[kind]["data"]
    assert set(data) >= OF_A_GRANT
    assert ("backfill_until" in data) == (data["status"] == "expired")


@pytest.mark.parametrize("wrong", [False, True])
def test_the_snippet_verifies_what_we_sign(tmp_path: Path, wrong: bool) -> None:
    [snippet] = blocks(PAGE, "python")
    (tmp_path / "product.py").write_text(snippet)
    secret = new_secret()
    names = runpy.run_path(str(tmp_path / "product.py"), {"SECRET": new_secret() if wrong else secret})
    body = b'{"type":"grant.valid"}'
    signed = headers("msg-1", body, [new_secret(), secret], now=datetime.now(UTC))
    if wrong:
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            names["take"](signed, body)
    else:
        assert names["take"](signed, body) == {"type": "grant.valid"}


def test_every_command_and_setting_of_the_page_is_one() -> None:
    assert settings_named(PAGE) <= SETTINGS
    typed = [shlex.split(line) for line in "".join(blocks(PAGE, "sh")).splitlines()]
    calls = [words[1:] for words in typed if words[:1] == ["evergrant"]]
    assert len(calls) >= 5
    for call in calls:
        command, arguments = leaf(call)
        command.make_context(command.name, list(arguments))
    for call in re.findall(r"`evergrant ([a-z -]+)`", PAGE):
        leaf(call.split())
