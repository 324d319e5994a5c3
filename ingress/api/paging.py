"""Pages of the API's lists: a limit, and a cursor that says where the next page begins."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ingress.api.problems import Problem

Shape = TypeVar("Shape", bound=BaseModel)
Row = TypeVar("Row")

MOST = 200

# PostgreSQL keeps no NUL, and what can't be printed names nothing.
Text = Annotated[str, Field(max_length=320, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Page(BaseModel, Generic[Shape]):
    """A part of a list."""

    data: list[Shape]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next part; null at the end.")


class PageQuery(BaseModel):
    """Which part of a list is wanted."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST, description="How many at most.")] = 50
    cursor: Annotated[Text | None, Field(description="The `next_cursor` of the part before.")] = None

    @property
    def after(self) -> str | None:
        """The id that the part before ended with. Raises Problem for a cursor that was not one of ours."""
        if self.cursor is None:
            return None
        try:
            after = urlsafe_b64decode(self.cursor + "=" * (-len(self.cursor) % 4)).decode()
        except ValueError:
            after = ""
        if not after or cursor_of(after) != self.cursor or not after.isprintable():
            raise _no_cursor()
        return after

    @property
    def after_row(self) -> UUID | None:
        """The same, where rows have ids of our own."""
        try:
            return UUID(self.after) if self.after is not None else None
        except ValueError:
            raise _no_cursor() from None


def page(rows: Sequence[Row], limit: int, shape: Callable[[Row], Shape], name: Callable[[Row], object]) -> Page[Shape]:
    """Make a page of rows, of which one more was read than fits if there are more; `name` gives a row's id."""
    data = rows[:limit]
    more = len(rows) > limit
    return Page(data=[shape(row) for row in data], next_cursor=cursor_of(str(name(data[-1]))) if more else None)


def cursor_of(row_id: str) -> str:
    """Make the cursor that continues after a row."""
    return urlsafe_b64encode(row_id.encode()).decode().rstrip("=")


def _no_cursor() -> Problem:
    detail = "query.cursor: must be the next_cursor that a list was answered with."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_cursor", detail)
