"""The commands of the CLI as its tests see them: a tree of which only the leaves do something."""

import re
from typing import Any

import typer

from ingress.cli import app


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and what is left of them; KeyError if there is none."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def leaves(command: Any, path: str = "evergrant") -> set[str]:
    """All commands that do something, as one types them."""
    if not hasattr(command, "commands"):
        return {path}
    return {name for word, child in command.commands.items() for name in leaves(child, f"{path} {word}")}


def shown(name: str, what: str) -> set[str]:
    """The commands that a row of the README's table shows: itself, or those of a group that its first words name."""
    command: Any = typer.main.get_command(app)
    for word in name.split()[1:]:
        command = command.commands[word]
    if not hasattr(command, "commands"):
        return {name}
    return {f"{name} {word}" for word in re.findall(r"`([a-z-]+)`", re.split(r"[:.]", what)[0])}


def options(command: Any) -> set[str]:
    """The long options of a command, or of all commands of a group."""
    if hasattr(command, "commands"):
        return set[str]().union(*map(options, command.commands.values()))
    return {opt for param in command.params for opt in (*param.opts, *param.secondary_opts) if opt.startswith("--")}
