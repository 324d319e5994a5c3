"""The kinds of event that we deal with, and the queue that each one's work goes to."""

from enum import StrEnum


class Queue(StrEnum):
    """Where a doorbell rings: work that somebody waits for, work in bulk, and what is told of both.

    A worker takes from each in turn, so that a flood of events doesn't keep what is known already from being told.
    """

    INTERACTIVE = "interactive"
    BULK = "bulk"
    NOTICES = "notices"


# The kind of an event is the name of its task. The grant.* ones are Nylas' trigger types.
OAUTH_RETURNED = "oauth.returned"
GRANT_CREATED = "grant.created"
GRANT_UPDATED = "grant.updated"
GRANT_EXPIRED = "grant.expired"
GRANT_DELETED = "grant.deleted"
GRANT_RECHECK = "grant.recheck"
GRANT_REPORTED = "grant.reported"
REAUTH_BULK_REQUESTED = "reauth.bulk_requested"
SYNC_REQUESTED = "sync.requested"
WEBHOOKS_DOUBTED = "webhooks.doubted"

# `grant.recheck` is our own second look; `grant.reported` what the product saw: a 401 on the grant.
# What rings for the items of a campaign: rows of work as well, but not events.
REAUTH_REQUESTED = "reauth.requested"

# What is only noted: rows that are settled when they are written.
GRANT_IDENTITY_CHANGED = "grant.identity_changed"
GRANT_RELEASED = "grant.released"

# What rings for the items of an approved plan of retirement.
RETIREMENT_APPROVED = "retirement.approved"

# What rings for notices that are to be told, and for their way to each endpoint.
NOTICE_DUE = "notice.due"
DELIVERY_DUE = "delivery.due"

# What rings for incidents that are open.
INCIDENT_PROBE = "incident.probe"

# Signed by Nylas, and no JSON that we can read: kept for a human.
UNREADABLE = "unreadable"

# A trace of what was changed about a grant by our own API: settled as it is written, so no task deals with it.
GRANT_EDITED = "grant.edited"

QUEUES: dict[str, Queue] = {
    OAUTH_RETURNED: Queue.INTERACTIVE,
    GRANT_CREATED: Queue.INTERACTIVE,
    GRANT_UPDATED: Queue.INTERACTIVE,
    GRANT_EXPIRED: Queue.INTERACTIVE,
    GRANT_DELETED: Queue.INTERACTIVE,
    GRANT_RECHECK: Queue.INTERACTIVE,
    GRANT_REPORTED: Queue.INTERACTIVE,
    REAUTH_BULK_REQUESTED: Queue.INTERACTIVE,
    NOTICE_DUE: Queue.NOTICES,
    DELIVERY_DUE: Queue.NOTICES,
    SYNC_REQUESTED: Queue.BULK,
    WEBHOOKS_DOUBTED: Queue.BULK,
    REAUTH_REQUESTED: Queue.BULK,
    INCIDENT_PROBE: Queue.BULK,
    RETIREMENT_APPROVED: Queue.BULK,
}
EVENT_KINDS = frozenset(QUEUES) - {REAUTH_REQUESTED, RETIREMENT_APPROVED, NOTICE_DUE, DELIVERY_DUE, INCIDENT_PROBE}
FROM_NYLAS = frozenset({GRANT_CREATED, GRANT_UPDATED, GRANT_EXPIRED, GRANT_DELETED})

MOST_IDS = {Queue.INTERACTIVE: 200, Queue.BULK: 100, Queue.NOTICES: 200}
MOST_ITEMS = 200


def most_ids(kind: str) -> int:
    """Say how many row ids one message of this kind may carry."""
    return MOST_ITEMS if kind == REAUTH_REQUESTED else MOST_IDS[QUEUES[kind]]
