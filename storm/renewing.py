"""How often mailboxes were renewed at Nylas, and whether what was done more often than asked for can be explained."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from storm.books import Books


def extra_calls(books: Books) -> int:
    """How many renewals were done beyond one for each time that an item was asked for."""
    return sum(_extra(books).values())


def _extra(books: Books) -> Counter[str]:
    """How many of them are whose."""
    asked = Counter[str]()
    for item in books.items:
        asked[(item.email or "").lower()] += item.asked
    return +Counter({email: done - asked[email.lower()] for email, done in books.truth.renewals.items()})


def unexplained(books: Books) -> Iterator[str]:
    """Say whose mailbox was renewed again although nothing had hindered anybody to know of the time before."""
    if books.ambiguous is None:
        return
    for email, extra in _extra(books).items():
        times = sorted(done for _, done in books.truth.renewed_at.get(email, []))[:-1]
        doubtful = sum(any(began <= at <= ended for began, ended in books.ambiguous) for at in times)
        if doubtful < extra:
            yield f"{email} was renewed {extra} times too often; of {doubtful} of them the answer may have been lost"


def impatient(books: Books) -> Iterator[str]:
    """Say whose mailbox was asked to be renewed while Nylas was still at work on the time before."""
    for email, spans in books.truth.renewed_at.items():
        for (_, done), (arrived, _) in pairwise(sorted(spans)):
            if arrived < done:
                yield f"{email} was to be renewed again {done - arrived:.1f} s before Nylas had done it"
