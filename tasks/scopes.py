"""Who lacks a scope, asked of the database: of a million grants only those that are wanted are read."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator
from sqlalchemy import JSON, ColumnElement, Text, column, exists, func, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import col

from lifecycle.scopes import NO_PERMISSION, SPELT_IN_SEVERAL_WAYS, ignores_case, spellings
from models import Grant, KnownConnector


class JsonTexts(FunctionElement[Any]):
    """The texts in a column that holds a JSON list, as rows with one column, `value`."""

    name = "json_texts"
    type = JSON()
    inherit_cache = True


@compiles(JsonTexts, "sqlite")
def _in_sqlite(element: JsonTexts, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each{compiler.process(element.clause_expr, **options)}"


@compiles(JsonTexts, "postgresql")
def _in_postgresql(element: JsonTexts, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text{compiler.process(element.clause_expr, **options)}"


def a_scope(text: str) -> str:
    """Refuse what nobody can lack. Raises ValueError."""
    if not text or any(char.isspace() for char in text):
        raise ValueError("one scope, without spaces, is wanted")
    if text in NO_PERMISSION:
        raise ValueError(f"{text} is never told among the scopes that were granted, so nobody can be said to lack it")
    return text


Scope = Annotated[str, AfterValidator(a_scope)]


def lacks(application_id: UUID, scope: str) -> ColumnElement[bool]:
    """The grants without this scope, in SQL, compared as `lifecycle.scopes.missing` does.

    Where connectors are known to ask for it, only grants of those lack it: nobody misses Google's scopes in a mailbox
    of Microsoft's.
    """
    asks = select(col(KnownConnector.provider)).where(
        col(KnownConnector.application_id) == application_id,
        _spelt(col(KnownConnector.provider), col(KnownConnector.scope), scope),
    )
    meant = ~exists(asks) | col(Grant.provider).in_(asks)
    return ~_spelt(col(Grant.provider), col(Grant.scope), scope) & meant


def _spelt(provider: Any, scopes: Any, scope: str) -> ColumnElement[bool]:
    """The scope is among these, in any of the ways in which the provider spells it."""
    others = provider.not_in(SPELT_IN_SEVERAL_WAYS) & _among(scopes, frozenset({scope}))
    return or_(
        others,
        *(
            (provider == name) & _among(scopes, spellings(scope, name), any_case=ignores_case(name))
            for name in SPELT_IN_SEVERAL_WAYS
        ),
    )


def _among(scopes: Any, wanted: frozenset[str], *, any_case: bool = False) -> ColumnElement[bool]:
    text = JsonTexts(scopes).table_valued(column("value", Text)).c.value
    return exists().where((func.lower(text) if any_case else text).in_(sorted(wanted)))
