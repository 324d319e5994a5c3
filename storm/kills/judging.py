"""What must hold when the second life is over: the storm's own promises, and the same end as if nobody had died."""

from collections import Counter
from collections.abc import Iterator

from storm.books import Books
from storm.invariants import campaigns, codes, flips, notices, statuses, webhooks
from storm.kills.reading import AtTheKill, Said

PROMISES = (webhooks, statuses, codes, notices, campaigns, flips)


def judged(books: Books, said: Counter[Said], undisturbed: Counter[Said], kill: AtTheKill) -> list[str]:
    """What is wrong."""
    broken = [f"{promise.__name__}: {what}" for promise in PROMISES for what in promise(books)]
    return [*broken, *_compared(said, undisturbed, kill)]


def _compared(said: Counter[Said], undisturbed: Counter[Said], kill: AtTheKill) -> Iterator[str]:
    """Compare with the run in which nobody died, but for those whose code can't be sent any more."""
    for email in kill.given_up:
        if said["sign-in", email, "failed"] != 1:
            yield f"the code of {email} was not sent, and the user was not asked to sign in again"
    lost = {one for one in (said | undisturbed) if one[1] in kill.given_up}
    for what, sign, more in (("is missing", undisturbed, said), ("is too much", said, undisturbed)):
        for one, count in (sign - more).items():
            if one not in lost:
                yield f"{' '.join(one)} {what}" + (f" ({count} times)" if count > 1 else "")


def too_often(what: str, done: Counter[str], before: Counter[str], kill: AtTheKill) -> Iterator[str]:
    """Say for whom something was done once too often: a second time is for those whose end could not be known."""
    for email, count in done.items():
        uncertain = before[email] > 0 and email not in kill.settled
        if count > 1 + uncertain:
            yield f"{what} of {email} {count} times, {before[email]} of them before the kill"


def told_again(twice: Counter[str], kill: AtTheKill) -> Iterator[str]:
    """Say which notices came more often than the kill explains: once more if it was not written that they went."""
    for id, count in twice.items():
        if count > 1 + (id in kill.undelivered):
            yield f"the notice {id} came {count} times, and the kill does not explain that"
