"""What is written by mail, in plain text: to operators what concerns no user, to a user the way back."""

from email.message import EmailMessage

from models import NoticeData, NoticeKind
from tasks.context import Context
from tasks.links import address
from tasks.notices.endpoints import link_id


def letter(ctx: Context, notice: NoticeData, to: str) -> EmailMessage:
    """Write the mail of a notice. Its Message-ID is the same at each attempt, so that mail programs show it once."""
    subject, lines = _words(ctx, notice)
    message = EmailMessage()
    message["To"] = to
    message["Subject"] = " ".join(subject.split())
    message["Date"] = notice.occurred_at
    message["Message-ID"] = f"<{notice.id}@evergrant.invalid>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(lines) + "\n")
    return message


def _words(ctx: Context, notice: NoticeData) -> tuple[str, list[str]]:
    told = notice.data
    match notice.kind:
        case NoticeKind.REAUTH_REQUIRED:
            link = link_id(notice)
            assert link is not None, "nobody is written to without a link"
            return f"Please connect {told['email'] or 'your account'} again", [
                f"The connection to your account {told['email'] or ''} ({told['provider']}) has stopped working.",
                "Please sign in again here:",
                "",
                address(ctx, link),
                "",
                f"The link works once, and until {told['expires_at']}.",
                f"If you sign in before {told['deadline']}, nothing that arrived in the meantime is missed.",
            ]
        case NoticeKind.UNATTENDED:
            return "Evergrant: nobody came back to renew a grant", [
                f"The grant {told['grant_id']} ({told['provider']}) expired at {told.get('expired_at')}.",
                "All reminders were in vain.",
                "",
                f"evergrant grants why {told['grant_id']}",
            ]
        case NoticeKind.INCIDENT_OPENED:
            return f"Evergrant: incident of {told['scope']} {told['subject']}", [
                f"{told['what']}.",
                "What users would be told about it is held back until it is over.",
                "",
                f"evergrant incidents show {told['incident_id']}",
            ]
        case _:
            return f"Evergrant: {notice.kind.value}", [f"{name}: {value}" for name, value in told.items()]
