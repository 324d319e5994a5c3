"""The command that puts tags on grants, and takes them away: of some that are named, or of a list."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.grant_lists import find_grant
from ingress.lists.files import in_parts, opened, tell_of
from ingress.lists.lines import TAGS
from ingress.terminal import fail, put_json, say
from models import Grant, GrantTag
from models.inserting import insert_new
from tasks.campaigns.lines import BadLine, Line
from tasks.campaigns.listed import find_named
from worker.runtime import Runtime


@dataclass(slots=True)
class Count:
    """What became of the grants that were named: how many tags are new on them, and how many are gone."""

    grants: int = 0
    added: int = 0
    removed: int = 0
    bad: int = 0


async def tag_grants(
    runtime: Runtime,
    names: Sequence[str],
    *,
    add: Sequence[str],
    remove: Sequence[str],
    path: str | None,
    as_json: bool,
) -> None:
    """Change the tags of grants; again, it changes nothing. Exits with 2 if nothing is asked for, 1 for bad lines."""
    if not names and path is None:
        fail("Name the grants whose tags are to change, or a list of them: --from FILE", code=2)
    if path is None and not add and not remove:
        fail("Say what is to change: --add TAG, --remove TAG", code=2)
    if both := set(add) & set(remove):
        fail(f"{', '.join(sorted(both))}: a tag can't be added and removed at once", code=2)
    count = Count()
    grants = [(await find_grant(runtime, name)).id for name in names]
    with _lines(path) as lines:
        if grants and (add or remove):
            async with runtime.context.database.writing() as session:
                await _change(session, [(grant_id, None) for grant_id in grants], add, remove, count)
        for part in in_parts(lines):
            bad = [line for line in part if isinstance(line, BadLine)]
            good = [line for line in part if isinstance(line, Line)]
            async with runtime.context.database.writing() as session:
                named = await find_named(session, runtime.application.id, good)
                found: list[tuple[str, str | None]] = []
                for line in good:
                    match named.by(line):
                        case BadLine() as refused:
                            bad.append(refused)
                        case None:
                            bad.append(BadLine(line.number, "no grant of ours has this address"))
                        case Grant() if not (line.tag or add or remove):
                            bad.append(BadLine(line.number, "it has no tag"))
                        case Grant() as grant:
                            found.append((grant.id, line.tag))
                await _change(session, found, add, remove, count)
            count.bad += tell_of(sorted(bad, key=lambda line: line.number))
    _tell(count, as_json=as_json)


@contextmanager
def _lines(path: str | None) -> Iterator[Iterator[Line | BadLine]]:
    if path is None:
        yield iter(())
        return
    with opened(path, TAGS) as lines:
        yield lines


async def _change(
    session: AsyncSession,
    grants: Sequence[tuple[str, str | None]],
    add: Sequence[str],
    remove: Sequence[str],
    count: Count,
) -> None:
    """Write the tags of some grants, each with one of its own, if it has one."""
    ids = sorted({grant_id for grant_id, _ in grants})
    count.grants += len(ids)
    if remove and ids:
        less = delete(GrantTag).where(col(GrantTag.grant_id).in_(ids), col(GrantTag.tag).in_(remove))
        count.removed += len((await session.scalars(less.returning(col(GrantTag.grant_id)))).all())
    more = {(grant_id, tag) for grant_id, own in grants for tag in (*add, *([own] if own else ()))}
    if more:
        rows = [{"grant_id": grant_id, "tag": tag} for grant_id, tag in sorted(more)]
        count.added += len(await insert_new(session, GrantTag, rows, returning="grant_id"))


def _tell(count: Count, *, as_json: bool) -> None:
    bad = f"; bad lines: {count.bad}" if count.bad else ""
    say(f"Grants: {count.grants}; tags added: {count.added}, removed: {count.removed}{bad}.")
    if as_json:
        put_json({"grants": count.grants, "added": count.added, "removed": count.removed, "bad": count.bad})
    if count.bad:
        fail("Mend the bad lines, and give them again.")
