"""Printing what Nylas keeps: flat objects as JSON, or as tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from ingress.terminal import put_json, put_table

Flat: TypeAlias = dict[str, Any]


def put_list(rows: Sequence[Flat], columns: Sequence[str], *, as_json: bool) -> None:
    """Print all rows: as an array of objects, or the columns that matter most as a table."""
    if as_json:
        put_json([_jsonable(row) for row in rows])
    else:
        put_table(None, columns, ([_cell(row[column]) for column in columns] for row in rows))


def put_one(row: Flat, *, as_json: bool) -> None:
    """Print one thing: as an object, or as a table of the fields that have a value."""
    if as_json:
        put_json(_jsonable(row))
    else:
        told = {name: _cell(value) for name, value in row.items() if value not in (None, "", [])}
        put_table(None, ("field", "value"), told.items())


def shown(settings: Mapping[str, object], *names: str) -> Flat:
    """Those fields of an object of Nylas' that we know to be no secret: None where they are missing."""
    values = {name: settings.get(name) for name in names}
    return {name: value if isinstance(value, str) else None for name, value in values.items()}


def _jsonable(row: Flat) -> Flat:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _cell(value: Any) -> Any:
    match value:
        case list() | tuple():
            return " ".join(str(item) for item in value)
        case bool():
            return "yes" if value else "no"
        case _:
            return value
