"""The way to people by email: one SMTP server, spoken to over TLS wherever it can."""

from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

TIMEOUT = 20.0


class Undeliverable(Exception):
    """The server took nothing. `for_good`: it refused, and asking again can't help."""

    def __init__(self, reason: str, *, for_good: bool) -> None:
        """Keep both."""
        super().__init__(reason)
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server, and the address that mails come from."""

    host: str
    port: int
    sender: str
    tls: bool
    """From the first byte (`smtps`); otherwise STARTTLS where the server has it."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> "MailServer":
        """Read `smtp[s]://user:password@host:port?from=address`. Raises ValueError, without the URL."""
        wrong = ValueError("must be a URL such as smtps://user:password@mail.example.com?from=evergrant@example.com")
        try:
            parts = urlsplit(url)
            port = parts.port or (465 if parts.scheme == "smtps" else 587)
        except ValueError:
            raise wrong from None
        told = parse_qs(parts.query)
        sender = told.pop("from", [""])[0]
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or "@" not in sender or told:
            raise wrong
        if not sender.isprintable() or parts.path.strip("/") or parts.fragment:
            raise wrong
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(parts.hostname, port, sender, parts.scheme == "smtps", user, password)

    async def send(self, message: EmailMessage, to: str) -> None:
        """Hand a message over for one address. Raises Undeliverable."""
        message["From"] = self.sender
        try:
            await aiosmtplib.send(
                message,
                recipients=[to],
                hostname=self.host,
                port=self.port,
                username=self.user,
                password=self.password,
                use_tls=self.tls,
                timeout=TIMEOUT,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            reason = f"the mail server refused the recipient: {', '.join(map(str, codes))}"
            raise Undeliverable(reason, for_good=min(codes, default=0) >= 500) from None
        except aiosmtplib.SMTPResponseException as error:
            raise Undeliverable(f"the mail server answered {error.code}", for_good=False) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Undeliverable(f"the mail server could not be asked: {type(error).__name__}", for_good=False) from None
