"""Grants are counted no further than matters, by an index that leads to those in question."""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, ScalarSelect, func, literal, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import Grant

ALIVE = tuple(status for status in GrantStatus if status is not GrantStatus.DELETED)
"""Named one by one, as an index finds them: what is not deleted would be looked for among all."""


def count_to(most: BindParameter[Any], which: ColumnElement[bool], *statuses: GrantStatus) -> ScalarSelect[int]:
    """In SQL: how many of those grants stand in one of these ways, but no more than `most`.

    In the order of an index, or PostgreSQL may walk through the table for so many.
    """
    some = select(literal(1)).where(which, col(Grant.status).in_(statuses)).order_by(col(Grant.status)).limit(most)
    return select(func.count()).select_from(some.subquery()).scalar_subquery()
