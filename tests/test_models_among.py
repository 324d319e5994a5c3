"""Many values as one parameter, on both databases."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import Dialect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from models import Event, Grant, Outcome
from models.among import among
from models.kinds import GRANT_UPDATED
from simulator import Running
from tasks.context import Context
from tests.stories import hints, known


async def found(ctx: Context, ids: Sequence[UUID]) -> set[UUID]:
    async with ctx.database.reading() as session:
        return set(await session.scalars(select(col(Event.id)).where(among(col(Event.id), ids))))


async def test_rows_are_found_by_any_number_of_ids(ctx: Context) -> None:
    one, two, three = await hints(ctx, GRANT_UPDATED, "g1", "g2", "g3")
    assert await found(ctx, [one, three]) == {one, three}
    assert await found(ctx, [two]) == {two}
    assert await found(ctx, [UUID(int=7)]) == set()
    assert await found(ctx, []) == set()


async def test_texts_with_quotes_and_commas_are_texts(ctx: Context, sim: Running) -> None:
    name, _ = await known(ctx, sim, 2)
    odd = ['a"b', "c'd", "{e,f}", "g\\h", "NULL", "ü", name]
    async with ctx.database.reading() as session:
        assert list(await session.scalars(select(col(Grant.id)).where(among(col(Grant.id), odd)))) == [name]


async def test_what_is_not_known_yet_is_among_nothing(ctx: Context) -> None:
    await hints(ctx, GRANT_UPDATED, "g1")
    async with ctx.database.reading() as session:
        ended = select(col(Event.id)).where(among(col(Event.outcome), [Outcome.DONE, Outcome.FAILED]))
        assert (await session.execute(ended)).all() == []


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=lambda one: str(one.name))
def test_lists_of_all_lengths_have_one_text(dialect: Dialect) -> None:
    texts = {
        str(select(col(Grant.id)).where(among(col(Grant.id), ["g"] * number)).compile(dialect=dialect))
        for number in (1, 2, 99)
    }
    assert len(texts) == 1
