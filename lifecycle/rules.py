"""The rules that say how a grant moves on after a look or a hint."""

from datetime import datetime

from lifecycle.terms import Change, GrantStatus, Observation, Standing


def decide(now: Standing | None, seen: Observation) -> Change | None:
    """Say how a grant moves on after we have seen it, or None if it stays as it is.

    Older news never overrules newer, and a deleted grant stays deleted: Nylas gives the next grant of that email a
    new id. A grant that we never knew and that Nylas doesn't know either is nothing to write down.
    """
    new = Standing(seen.status, seen.blocked and seen.status is not GrantStatus.DELETED, seen.at)
    match now:
        case None:
            return None if seen.status is GrantStatus.DELETED else Change(None, new)
        case Standing(status=GrantStatus.DELETED):
            return None
        case Standing(as_of=as_of) if seen.at < as_of:
            return None
        case Standing(status=status, blocked=blocked) if (status, blocked) == (new.status, new.blocked):
            return None
        case _:
            return Change(now, new)


def doubt(now: Standing | None, hinted_at: datetime) -> Change | None:
    """Say how a grant moves on when something hints that it died and Nylas could not be asked yet.

    Only a valid grant becomes suspect, and only by a hint that is younger than our last look: a look answers
    every hint that came before it. `as_of` stays, since a hint is not a look.
    """
    match now:
        case Standing(status=GrantStatus.VALID, blocked=blocked, as_of=as_of) if hinted_at > as_of:
            return Change(now, Standing(GrantStatus.SUSPECT, blocked, as_of))
        case _:
            return None
