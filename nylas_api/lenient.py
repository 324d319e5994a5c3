"""How what Nylas says is read: strictly where we rely on it, leniently in all the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What Nylas said, and when we asked.

    `asked_at` is the moment *before* the request went out: the data is at least as new as that. `date`
    is what Nylas' own clock said meanwhile, to the second (RFC 9110, 6.6.1), if it told.
    """

    data: T
    request_id: str | None
    asked_at: datetime
    date: datetime | None = None


class Said(BaseModel):
    """Something that Nylas said.

    Unknown fields are ignored; a field that is missing, empty or of a wrong type is None (or empty)
    unless its class says that it is insisted on; times are aware, in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


M = TypeVar("M", bound=Said)


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A list, or one page of it: what could be read, and how many entries there really were."""

    items: tuple[T, ...]
    length: int
    limit: int | None
    """The page size that Nylas says it applied."""


def read_one(kind: type[M]) -> Callable[[object], M]:
    """Make a reader of one thing in its envelope; it raises ValueError if there is none."""
    return lambda body: kind.model_validate(_envelope(body)["data"])


def read_flat(kind: type[M]) -> Callable[[object], M]:
    """Make a reader of one thing that comes without an envelope; it raises ValueError if it is none."""
    return kind.model_validate


def read_many(kind: type[M]) -> Callable[[object], Listing[M]]:
    """Make a reader of a list that leaves out entries it cannot read; it raises ValueError if there is no list."""

    def read(body: object) -> Listing[M]:
        envelope = _envelope(body)
        entries, limit = envelope["data"], envelope.get("limit")
        if not isinstance(entries, list):
            raise ValueError("the data is not a list")
        sane_limit = limit if isinstance(limit, int) and limit > 0 else None
        return Listing(tuple(_readable(kind, entries)), len(entries), sane_limit)

    return read


def read_nothing(body: object) -> None:
    """Read an answer that has nothing to say; ValueError if it is no JSON object, as of a proxy."""
    if not isinstance(body, dict):
        raise ValueError("not an object")


def readable(kind: type[M]) -> Any:
    """Annotate a field that holds a list of things: those that can be read, as a tuple."""
    return BeforeValidator(lambda value: tuple(_readable(kind, value)) if isinstance(value, list | tuple) else ())


def _readable(kind: type[M], entries: list[object] | tuple[object, ...]) -> list[M]:
    read = []
    for entry in entries:
        try:
            read.append(kind.model_validate(entry))
        except ValidationError:
            continue
    return read


def _envelope(body: object) -> dict[str, object]:
    if not isinstance(body, dict) or "data" not in body:
        raise ValueError("there is no data in it")
    return body


def _moment(value: object) -> datetime:
    """Read unix seconds, or RFC 3339 "just in case" as Nylas' own CLI does."""
    try:
        match value:
            case datetime():  # read before
                moment = value
            case bool():
                raise ValueError("not a time")
            case int() | float():
                moment = datetime.fromtimestamp(value, UTC)
            case str():
                moment = datetime.fromisoformat(value)
                moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
            case _:
                raise ValueError("not a time")
    except (OverflowError, OSError):
        raise ValueError("not a time") from None
    if moment.timestamp() < 0:
        raise ValueError("nothing here is that old")
    return moment


def _words(value: object) -> tuple[str, ...]:
    """Read scopes: a list on a grant, a space-separated string on a token."""
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list | tuple):
        return tuple(word for word in value if isinstance(word, str) and word)
    return ()


def _none_if_wrong(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return None


def _fields(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


Text = Annotated[str, Field(strict=True, min_length=1)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Fields = Annotated[dict[str, object], BeforeValidator(_fields)]
MaybeText = Annotated[Text | None, WrapValidator(_none_if_wrong)]
MaybeMoment = Annotated[Moment | None, WrapValidator(_none_if_wrong)]
MaybeInt = Annotated[int | None, WrapValidator(_none_if_wrong)]
MaybeSecret = Annotated[SecretStr | None, WrapValidator(_none_if_wrong)]
Flag = Annotated[bool, BeforeValidator(lambda value: value is True)]
