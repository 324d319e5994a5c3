"""Secrets are found where they should not be: as they are, and in the base64 that messages are packed in."""

import base64
import json
from pathlib import Path

from storm import poison
from storm.leaks import in_files, leaked

SECRET = "storm-api-key-0123456789abcdef"


def test_a_secret_is_found_as_it_is() -> None:
    assert leaked(f'"SET" "key" "Bearer {SECRET}"', [SECRET, "another"]) == {SECRET}


def test_a_secret_is_found_in_the_body_of_a_message() -> None:
    body = base64.b64encode(json.dumps([[SECRET], {}, {}]).encode()).decode()
    assert leaked(f'"LPUSH" "queue" "{{\\"body\\": \\"{body}\\"}}"', [SECRET]) == {SECRET}


def test_what_is_no_secret_is_none() -> None:
    assert leaked("LPUSH queue 0192f0c1-2d3e-7a4b-8c5d-6e7f80910a1b" * 3, [SECRET]) == set()


def test_a_file_is_named_and_the_secret_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text(f"all is well\nkey={SECRET}\n")
    (tmp_path / "worker.log").write_text("all is well\n")

    [found] = in_files(tmp_path.glob("*.log"), [SECRET])

    assert "web.log" in found
    assert SECRET not in found


def test_each_poison_of_a_kind_is_another_body() -> None:
    for kind in poison.BODIES:
        assert poison.body(kind, 1) == poison.body(kind, 1)
        assert poison.body(kind, 1) != poison.body(kind, 2)
