"""Walking through a list that has no cursor, only an offset."""

from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import replace
from typing import TypeVar

from nylas_api.conversation import Conversation
from nylas_api.errors import Garbled
from nylas_api.lenient import Answer, Listing
from nylas_api.request import Request

T = TypeVar("T")

MOST_PAGES = 10_000


def items(answer: Answer[Listing[T]]) -> Answer[tuple[T, ...]]:
    """Return an answer with its entries alone."""
    return Answer(answer.data.items, answer.request_id, answer.asked_at, answer.date)


async def each_page(
    conversation: Conversation,
    page_at: Callable[[int], Request[Listing[T]]],
    *,
    key: Callable[[T], Hashable] | None,
    limit: int,
    max_pages: int,
) -> AsyncIterator[Answer[tuple[T, ...]]]:
    """Ask for page after page to the first short one; a page may turn out empty.

    Each entry comes once, by its key; without a key nothing is remembered, and an entry may come twice.
    While we read, an entry deleted from an earlier page makes another one slip through unseen. What
    isn't listed is therefore not proven gone. Raises Garbled if the list has no end after `max_pages`.
    """
    offset, seen = 0, set[Hashable]()
    for _ in range(max_pages):
        answer = await conversation.ask(page_at(offset))
        page = answer.data
        if key:
            fresh = {key(item): item for item in page.items if key(item) not in seen}
            seen.update(fresh)
            answer = replace(answer, data=replace(page, items=tuple(fresh.values())))
        yield items(answer)
        if page.length < min(limit, page.limit or limit):
            return
        offset += page.length
    raise Garbled(f"Nylas' list did not end within {max_pages} pages of {limit}")
