"""Reading a list as a stream: CSV or JSON lines, one line at a time, and a bad one is no end of it."""

import codecs
import csv
import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import chain
from typing import Any, BinaryIO, TypeAlias

from ingress.lists.lines import CONTROL, Lines
from ingress.lists.ways import PORTS, Refused
from tasks.campaigns.lines import BadLine, Line

MOST_BYTES = 64 * 1024
"""How long a line may be."""
DELIMITERS = ",;\t"
LONGEST_SHOWN = 40

Raw: TypeAlias = tuple[int, bytes | None]


class BadList(ValueError):
    """The list as a whole can't be read, and why."""


def read_list(stream: BinaryIO, columns: Mapping[str, int]) -> Iterator[Line | BadLine]:
    """Read the head of a list; return an iterator over its lines, which are numbered as an editor does.

    JSON lines begin with `{`; all else is CSV, by RFC 4180, with a header, and with commas, semicolons or tabs; one
    record is one line there, since no value of ours has a line break: so a quote that is not closed spoils no more
    than its own line. Raises BadList, before any line is read.
    """
    raw_lines = _not_empty(_raw_lines(stream))
    number, head = next(raw_lines, (0, b""))
    if not number:
        raise BadList("is empty")
    if head is None:
        raise BadList(f"is no list: its first line is longer than {MOST_BYTES // 1024} KiB")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadList("is UTF-16: save it as UTF-8")
    if head.lstrip().startswith(b"["):
        raise BadList("is a JSON array: write its objects one a line, without the brackets and the commas between them")
    if head.lstrip().startswith(b"{"):
        return _read(Lines(columns), chain([(number, head)], raw_lines), _JsonLines(columns))
    rows = _CsvRows(head, columns)
    first = next(raw_lines, None)
    if first is None:
        raise BadList("names nobody: there is nothing after its header")
    return _read(Lines(columns), chain([first], raw_lines), rows)


def _raw_lines(stream: BinaryIO) -> Iterator[Raw]:
    """The lines, without their ends; None for one that is too long to be looked at."""
    number = 0
    while raw := stream.readline(MOST_BYTES + 1):
        number += 1
        if len(raw) > MOST_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(MOST_BYTES)
            yield number, None
            continue
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        yield number, raw.rstrip(b"\r\n")


def _not_empty(lines: Iterator[Raw]) -> Iterator[Raw]:
    return ((number, raw) for number, raw in lines if raw is None or raw.strip())


def _read(lines: Lines, raw_lines: Iterator[Raw], fields: "_CsvRows | _JsonLines") -> Iterator[Line | BadLine]:
    for number, raw in raw_lines:
        try:
            if raw is None:
                raise Refused(f"it is longer than {MOST_BYTES // 1024} KiB")
            values = fields.of(_decoded(raw))
        except Refused as refused:
            yield BadLine(number, str(refused))
        else:
            yield lines.read(number, values)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8") from None


class _CsvRows:
    """Makes values of the lines of a CSV, by its header."""

    def __init__(self, head: bytes, columns: Mapping[str, int]) -> None:
        """Read the header. Raises BadList."""
        try:
            text = _decoded(head)
            self._delimiter = max(DELIMITERS, key=text.count)
            names = [name.strip().lower() for name in self._cells(text)]
        except Refused as refused:
            raise BadList(f"has a header (its first line) that can't be read: {refused}") from None
        known = ", ".join(columns)
        if not columns.keys() & set(names):
            raise BadList(f"has no header: its first line must name the columns, which are {known}")
        for place, name in enumerate(names, 1):
            if name not in columns:
                raise BadList(f"has an unknown column: column {place}{_quoted(name)}{_meant(name, columns)}")
            if name in names[: place - 1]:
                raise BadList(f"has the column {name} twice")
        if not {"grant_id", "email"} & set(names):
            raise BadList("names nobody: it has neither a column grant_id nor a column email")
        self._names = names

    def of(self, text: str) -> dict[str, str]:
        """The values of a line. Raises Refused."""
        cells = self._cells(text)
        if len(cells) != len(self._names):
            raise Refused(f"it has {len(cells)} columns, where the header has {len(self._names)}")
        return dict(zip(self._names, cells, strict=True))

    def _cells(self, text: str) -> list[str]:
        if CONTROL.search(text.replace(self._delimiter, "")):
            raise Refused("it holds NUL or another control character")
        try:
            [cells] = csv.reader([text], delimiter=self._delimiter, strict=True)
        except csv.Error:
            raise Refused("its quotes can't be read: one is not closed (on the same line), or not doubled") from None
        return cells


class _JsonLines:
    """Makes values of lines that are JSON objects."""

    def __init__(self, columns: Mapping[str, int]) -> None:
        """`columns` are the fields that an object may have."""
        self._columns = columns

    def of(self, text: str) -> dict[str, str]:
        """The values of a line. Raises Refused."""
        try:
            fields = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise Refused("it is not JSON") from None
        if not isinstance(fields, dict):
            raise Refused("it is JSON, but not an object")
        for place, name in enumerate(fields, 1):
            if name not in self._columns:
                raise Refused(f"it has an unknown field: field {place}{_quoted(name)}{_meant(name, self._columns)}")
        return {name: _text(name, value) for name, value in fields.items() if value is not None}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Refused("it has a field twice")
    return fields


def _text(name: str, value: object) -> str:
    if name in PORTS and type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise Refused(f"{name} must be text, between quotes")
    return value


def _quoted(name: str) -> str:
    """The name of a column, unless it looks like something that should not be shown."""
    is_a_name = len(name) <= LONGEST_SHOWN and name.replace("_", "").replace(" ", "").isalpha()
    return f" ({name!r})" if is_a_name else ""


def _meant(name: str, columns: Mapping[str, int]) -> str:
    near = get_close_matches(name[:LONGEST_SHOWN].strip().lower(), columns, n=1)
    return f": did you mean {near[0]}?" if near else f". There are {', '.join(columns)}"
