"""The items of a campaign as CSV or JSON lines, written as they are read: of a million, a page is in memory."""

import csv
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO, Any
from uuid import UUID

import typer
from sqlalchemy import select
from sqlmodel import col

from ingress.campaign_lists import find_campaign
from ingress.terminal import fail, say
from models import CampaignItem, Grant
from tasks.context import Context
from worker.runtime import Runtime

PAGE = 1_000
COLUMNS = (
    "line",
    "grant_id",
    "email",
    "provider",
    "way",
    "outcome",
    "cause",
    "reason",
    "request_id",
    "attempts",
    "settled_at",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for the beginning of a formula."""


class Format(StrEnum):
    """How the items are written."""

    CSV = "csv"
    JSONL = "jsonl"


async def export_campaign(runtime: Runtime, name: str, *, form: Format, output: Path | None) -> None:
    """Write all items of a campaign to a file, which is there when it is complete, or to stdout."""
    campaign = await find_campaign(runtime, name)
    number = 0
    with _opened(output) as stream:
        write = _writer(stream, form)
        async for part in pages(runtime.context, campaign.id):
            for item in part:
                write(item)
            number += len(part)
    say(f"{number} items.")


async def pages(ctx: Context, campaign_id: UUID) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the items as flat objects, in the order that they were written in, page by page."""
    of_it = (
        select(CampaignItem, col(Grant.email), col(Grant.provider))
        .outerjoin(Grant, col(CampaignItem.grant_id) == col(Grant.id))
        .where(col(CampaignItem.campaign_id) == campaign_id)
        .order_by(col(CampaignItem.id))
        .limit(PAGE)
    )
    after: UUID | None = None
    while True:
        async with ctx.database.reading() as session:
            part = of_it if after is None else of_it.where(col(CampaignItem.id) > after)
            rows = (await session.execute(part)).all()
        yield [flat(item, email=email, provider=provider) for item, email, provider in rows]
        if len(rows) < PAGE:
            return
        after = rows[-1][0].id


def flat(item: CampaignItem, *, email: str | None, provider: str | None) -> dict[str, Any]:
    """An item as a flat object; nothing of what it was authenticated by."""
    return {
        "line": item.line,
        "grant_id": item.grant_id,
        "email": email or item.email,
        "provider": provider or item.provider,
        "way": item.way.value if item.way else None,
        "outcome": item.outcome.value if item.outcome else "open",
        "cause": item.cause,
        "reason": item.reason,
        "request_id": item.request_id,
        "attempts": item.attempts,
        "settled_at": item.settled_at.isoformat() if item.settled_at else None,
    }


def _writer(stream: IO[str], form: Format) -> Callable[[Mapping[str, Any]], object]:
    if form is Format.JSONL:
        return lambda item: stream.write(json.dumps(item, ensure_ascii=False) + "\n")
    rows = csv.DictWriter(stream, COLUMNS)
    rows.writeheader()
    return lambda item: rows.writerow({name: _cell(value) for name, value in item.items()})


def _cell(value: object) -> object:
    """What others chose must be no formula to a spreadsheet that opens it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    """Open stdout, or a file for its owner's eyes only that takes its name when all is written.

    Exits with 1 where that can't be; who closes the pipe that stdout is has seen enough, and ends it with 0.
    """
    try:
        if output is None:
            yield sys.stdout
            sys.stdout.flush()
            return
        with TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
            with NamedTemporaryFile("w", dir=folder, newline="", delete=False) as stream:
                yield stream
            Path(stream.name).replace(output)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
    except (ConnectionError, TimeoutError):  # the database's
        raise
    except OSError as error:
        fail(f"{output or 'stdout'} can't be written: {error.strerror or type(error).__name__}")
