"""The commands that the pages show, held against those that there are."""

import re
import shlex
from typing import Any

import typer

from ingress.cli import app
from tests.commands import leaf, leaves, options, shown
from tests.test_compose import OPERATIONS, PROJECT, README, blocks, rows


def test_the_readme_shows_every_folder_and_every_command() -> None:
    folders = {row[0].strip("`/") for row in rows(README, "The folders")}
    assert folders >= set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    table = [(name.strip("`"), what) for name, what in rows(README, "Commands")]
    assert set[str]().union(*(shown(*row) for row in table)) == leaves(typer.main.get_command(app))
    for name, what in table:
        command: Any = typer.main.get_command(app)
        for word in name.split()[1:]:
            command = command.commands[word]
        assert set(re.findall(r"`(?:[a-z-]+ )?(--[a-z-]+)", what)) <= options(command), name


def test_every_command_in_the_pages_can_be_typed_as_it_stands() -> None:
    typed = [
        shlex.split(line, comments=True)
        for page in (README, OPERATIONS)
        for line in "".join(blocks(page, "sh")).splitlines()
    ]
    calls = [words[1:] for words in typed if words[:1] == ["evergrant"]] + [
        words[2:] for words in typed if words[:2] == ["./dev", "run"]
    ]
    assert len(calls) >= 6
    for call in calls:
        command, arguments = leaf(call)
        command.make_context(command.name, list(arguments))
