"""Talking to the person at the terminal: data on stdout, talk on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.prompt import Confirm
from rich.table import Table
from rich.text import Text

WIDE = 240

# What is piped is for a program, or a file: no line is cut or wrapped there.
out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False)

STATUS_STYLES = {"valid": "green", "suspect": "yellow", "expired": "red", "deleted": "dim"}


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Say what is wrong on stderr, and end with an exit code (2: what was asked for can't be right)."""
    err.print(message, style="red" if err.is_terminal else None, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def say(message: str) -> None:
    """Talk to the reader (stderr)."""
    err.print(message, markup=False, soft_wrap=True)


def agree(question: str, *, yes: bool) -> None:
    """Ask before what can't be undone; exits with 1 at a no, and with 2 where there is no terminal to ask at."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"{question}\nThere is no terminal to ask at: say --yes", code=2)
    with suppress(EOFError):
        if Confirm.ask(Text(question), console=err, default=False):
            return
    raise typer.Exit(1)


def put_json(value: object) -> None:
    """Print data as JSON; times as ISO 8601 in UTC."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def put_table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print data as a table; a column called `status` has its colours."""
    table = Table(*columns, title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for row in rows:
        cells = ["" if value is None else moment(value) if isinstance(value, datetime) else str(value) for value in row]
        styled = [
            f"[{STATUS_STYLES.get(cell, 'default')}]{escape(cell)}[/]" if column == "status" else escape(cell)
            for column, cell in zip(columns, cells, strict=True)
        ]
        table.add_row(*styled)
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    out.print(table)


def moment(when: datetime) -> str:
    """A time as people read it."""
    return when.strftime("%Y-%m-%d %H:%M:%S")
