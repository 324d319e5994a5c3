"""The trigger types a webhook can have, and for each that can be tried an example of what it tells."""

from simulator.answers import Json

GRANT = "3f6a1c88-5b0e-4d29-9b77-c04e12a9d6f1"
MOMENT = 1_767_225_600

# Two types share 25012, and one type has two codes: a reader must go by the type.
CODES = {
    "grant.created": 25012,
    "grant.updated": 25014,
    "grant.deleted": 25013,
    "grant.expired": 25009,
    "grant.imap_sync_completed": 25012,
}
REAUTHENTICATED = 25027

# What can be tried (mock payload, test event) is less than what a webhook can be registered for.
TRIED = frozenset(
    {
        *(
            f"{family}.{what}"
            for family in ("calendar", "event", "folder")
            for what in ("created", "updated", "deleted")
        ),
        *(f"grant.{what}" for what in ("created", "updated", "deleted", "expired")),
        *(f"message.{what}" for what in ("send_success", "send_failed", "bounce_detected", "opened", "link_clicked")),
        *(f"message.{what}" for what in ("created", "created.truncated", "created.cleaned")),
        *("message.updated", "message.updated.truncated", "contact.updated", "contact.deleted", "thread.replied"),
    }
)
SENT_BY_NYLAS = ("bounced", "complaint", "delivered", "rejected")
TRIGGERS = frozenset(
    {
        *(kind for kind in TRIED if not kind.endswith(".truncated")),
        *("grant.imap_sync_completed", "message.deleted"),
        *("message.opened.legacy", "message.link_clicked.legacy", "thread.replied.legacy"),
        *(f"message.{what}" for what in SENT_BY_NYLAS),
        *(f"message.transactional.{what}" for what in SENT_BY_NYLAS),
        *(f"message.intelligence.{what}" for what in ("order", "tracking", "return")),
        *(f"booking.{what}" for what in ("created", "pending", "rescheduled", "cancelled", "reminder")),
        *(f"notetaker.{what}" for what in ("created", "updated", "deleted", "meeting_state", "media")),
    }
)

_GRANT: Json = {"grant_id": GRANT, "provider": "google", "email": "ada.byron@example.com"}
_EXAMPLES: dict[str, Json] = {
    "grant": _GRANT,
    "calendar": {"name": "Work", "timezone": "Europe/London", "read_only": False, "is_primary": True},
    "event": {
        "calendar_id": "calendar-1",
        "title": "Tea",
        "busy": True,
        "status": "confirmed",
        "when": {"object": "timespan", "start_time": MOMENT, "end_time": MOMENT + 3600, "start_timezone": "Etc/UTC"},
    },
    "folder": {"name": "Letters", "attributes": [], "total_count": 3, "unread_count": 1},
    "contact": {"given_name": "Grace", "surname": "Hopper", "emails": [{"type": "work", "email": "g@example.org"}]},
}
_TOLD_OF_SENDING: dict[str, Json] = {
    "message.send_success": {"message_id": "message-1", "send_at": MOMENT, "status": "success"},
    "message.send_failed": {"message_id": "message-1", "send_at": MOMENT, "status": "failed", "error": "rejected"},
    "message.bounce_detected": {
        "type": "mailbox_unavailable",
        "bounced_addresses": "nobody@example.org",
        "code": "550",
    },
    "message.opened": {"message_id": "message-1", "label": "", "recents": [{"opened_id": 0, "timestamp": MOMENT}]},
    "message.link_clicked": {"message_id": "message-1", "recents": [{"click_id": 0, "timestamp": MOMENT}]},
    "thread.replied": {"message_id": "message-2", "root_message_id": "message-1", "timestamp": MOMENT},
}


def letter(mail_id: str, grant_id: str, moment: int) -> Json:
    """Return a small mail, as `message.created` tells it."""
    return {
        "id": mail_id,
        "object": "message",
        "grant_id": grant_id,
        "thread_id": mail_id,
        "subject": "A letter",
        "snippet": "Dear reader",
        "body": "Dear reader, that is all.",
        "from": [{"name": "Grace Hopper", "email": "grace.h@example.org"}],
        "to": [{"name": "", "email": "reader@example.com"}],
        "date": moment,
        "unread": True,
        "starred": False,
        "folders": ["INBOX"],
        "attachments": [],
    }


def example(kind: str) -> Json:
    """Return the object of an example of this type; nothing in it is anybody's."""
    family, _, what = kind.partition(".")
    if family == "grant":
        return _of_grant(kind)
    if kind in _TOLD_OF_SENDING:
        return {"grant_id": GRANT, **_TOLD_OF_SENDING[kind]}
    if family == "message":
        told = letter("message-1", GRANT, MOMENT)
        left_out = ("body", "snippet", "attachments") if what.endswith("truncated") else ()
        return {name: value for name, value in told.items() if name not in left_out}
    about: Json = {"id": f"{family}-1", "object": family, "grant_id": GRANT}
    return about if what == "deleted" else about | _EXAMPLES[family]


def _of_grant(kind: str) -> Json:
    about = {"code": CODES[kind], "integration_id": "f09c3a6e-7d51-4b28-a4f9-8e6b2d10c573", **_GRANT}
    match kind:
        case "grant.created":
            return about | {"scope": ["openid"], "login_id": "8d0f3b62-17ca-4e95-b4d8-6a2c9e71f053"}
        case "grant.updated":
            return about | {"reauthentication_flag": False}
        case "grant.expired":
            return about | {"grant_updated_at": MOMENT}
        case _:
            return about
