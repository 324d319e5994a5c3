"""Mail: operators learn what concerns no user, users the way back, and never in the mailbox that is broken."""

import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import Message

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Handler
from aiosmtpd.smtp import SMTP, Envelope, Session

from models import Endpoint, Grant, NoticeKind, Outcome
from models.columns import new_id
from models.kinds import GRANT_EXPIRED
from simulator import Running
from tasks.context import Context
from tasks.notices.endpoints import CONTACTS, FOR_OPERATORS, FOR_USERS, MAIL
from tasks.notices.mail import MailServer
from tests.conftest import Rings, SetClock
from tests.receiving import a_notice, deliveries, notices, reaching, work
from tests.stories import at_nylas, hint, known, stored

OPERATOR = "ops@example.com"


@dataclass
class Mailboxes(Handler):
    """Keeps what comes, by its recipients."""

    message_class: type[Message] | None = None
    got: list[tuple[list[str], Message]] = field(default_factory=list)
    refuse: str = ""

    async def handle_RCPT(  # noqa: N802 - the library calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or say what we were told to."""
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def prepare_message(self, session: Session, envelope: Envelope) -> Message:
        """Note who it is for."""
        message = super().prepare_message(session, envelope)
        self.got.append((envelope.rcpt_tos, message))
        return message

    def handle_message(self, message: Message) -> None:
        """It is kept already."""


@pytest.fixture
def mailboxes() -> Mailboxes:
    """All the mailboxes of the world."""
    return Mailboxes()


@pytest.fixture
def mail(mailboxes: Mailboxes) -> Iterator[MailServer]:
    """A mail server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(mailboxes, hostname="127.0.0.1", port=port)
    controller.start()
    yield MailServer.of(f"smtp://127.0.0.1:{port}?from=evergrant@example.com")
    controller.stop()


@pytest.fixture
async def reach(ctx: Context, mail: MailServer) -> AsyncIterator[Context]:
    """A worker that knows the mail server."""
    async with reaching(ctx, mail=mail) as reach:
        now = reach.now()
        for url, kinds in ((CONTACTS, FOR_USERS), (MAIL + OPERATOR, FOR_OPERATORS)):
            endpoint = Endpoint(
                id=new_id(), application_id=ctx.application_id, url=url, secret="", source="settings", created_at=now
            )
            endpoint.kinds = [kind.value for kind in kinds]
            ctx.keys.seal(endpoint, "secret", "")
            await stored(reach, endpoint)
        yield reach


async def expired(ctx: Context, sim: Running, rings: Rings, clock: SetClock, *, contact: str | None) -> str:
    """Let a grant expire, whose user has this other address, and be confirmed."""
    [grant_id] = await known(ctx, sim)
    async with ctx.database.writing() as session:
        grant = await session.get_one(Grant, grant_id)
        grant.contact = grant.email.upper() if contact == "itself" and grant.email else contact
    clock.forward(minutes=1)
    at_nylas(sim, grant_id).grant_status = "invalid"
    await hint(ctx, GRANT_EXPIRED, grant_id)
    await work(ctx, rings)
    clock.forward(minutes=3)
    await work(ctx, rings)
    return grant_id


async def test_the_user_of_an_expired_grant_is_written_to_at_the_other_address(
    reach: Context, sim: Running, rings: Rings, clock: SetClock, mailboxes: Mailboxes
) -> None:
    grant_id = await expired(reach, sim, rings, clock, contact="ada@home.example")
    [(recipients, message)] = mailboxes.got
    assert recipients == ["ada@home.example"]
    assert (message["From"], message["Auto-Submitted"]) == ("evergrant@example.com", "auto-generated")
    text = message.get_payload()
    assert "http://localhost:8000/reauth/" in text
    [reminder] = [
        row for row in await notices(reach, grant_id) if row.kind is NoticeKind.REAUTH_REQUIRED and row.outcome
    ]
    assert message["Message-ID"] == f"<{reminder.id}@evergrant.invalid>"
    assert reminder.data["deadline"] in text


@pytest.mark.parametrize("contact", [None, "itself"])
async def test_nobody_is_written_to_in_the_mailbox_that_is_broken(
    reach: Context, sim: Running, rings: Rings, clock: SetClock, mailboxes: Mailboxes, contact: str | None
) -> None:
    await expired(reach, sim, rings, clock, contact=contact)
    assert mailboxes.got == []


async def test_the_operator_is_written_to_about_incidents_and_not_about_each_grant(
    reach: Context, sim: Running, rings: Rings, clock: SetClock, mailboxes: Mailboxes
) -> None:
    incident = {
        "scope": "credential",
        "subject": "cred-1",
        "what": "25 grants of the credential cred-1 expired within 10 minutes",
        "grants": 25,
        "incident_id": "abc",
    }
    await a_notice(reach, NoticeKind.INCIDENT_OPENED, data=incident)
    await a_notice(reach, NoticeKind.CAMPAIGN_FINISHED, data={"total": 3, "outcomes": {"done": 3}})
    await expired(reach, sim, rings, clock, contact=None)
    assert [recipients for recipients, _ in mailboxes.got] == [[OPERATOR]] * 2
    texts = {message["Subject"]: message.get_payload() for _, message in mailboxes.got}
    assert "25 grants of the credential cred-1" in texts["Evergrant: incident of credential cred-1"]
    assert "evergrant incidents show abc" in texts["Evergrant: incident of credential cred-1"]
    assert "total: 3" in texts["Evergrant: campaign.finished"]


@pytest.mark.parametrize(
    ("refusal", "ends", "says"),
    [
        ("550 no such user", Outcome.SET_ASIDE, "refused the recipient: 550"),
        ("451 come again", None, "refused the recipient: 451"),
    ],
)
async def test_a_refused_recipient_is_given_up_and_one_to_come_again_for_is_not(
    reach: Context, rings: Rings, mailboxes: Mailboxes, refusal: str, ends: Outcome | None, says: str
) -> None:
    mailboxes.refuse = refusal
    await a_notice(reach, NoticeKind.CAMPAIGN_FINISHED, data={})
    await work(reach, rings)
    [row] = await deliveries(reach)
    assert row.outcome is ends
    assert says in (row.reason or "")


async def test_what_a_mail_server_that_is_away_did_not_take_comes_later(
    reach: Context, rings: Rings, clock: SetClock, mailboxes: Mailboxes
) -> None:
    here = reach.outbound.mail
    assert here
    reach.outbound.mail = MailServer("127.0.0.1", 1, here.sender, tls=False)
    await a_notice(reach, NoticeKind.CAMPAIGN_FINISHED, data={})
    await work(reach, rings)
    assert mailboxes.got == []
    reach.outbound.mail = here
    clock.forward(minutes=1)
    await work(reach, rings)
    assert len(mailboxes.got) == 1
    [row] = await deliveries(reach)
    assert (row.outcome, row.attempts) == (Outcome.DONE, 2)
    assert row.since == clock() - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtps://u:p%40ss@mail.example.com?from=a@b.c", ("mail.example.com", 465, "a@b.c", True, "u", "p@ss")),
        ("smtp://mail.example.com:25?from=a@b.c", ("mail.example.com", 25, "a@b.c", False, None, None)),
        ("smtp://mail.example.com?from=a@b.c", ("mail.example.com", 587, "a@b.c", False, None, None)),
    ],
)
def test_the_url_of_a_mail_server(url: str, expected: tuple[object, ...]) -> None:
    server = MailServer.of(url)
    assert (server.host, server.port, server.sender, server.tls, server.user, server.password) == expected
    assert "p@ss" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "https://mail.example.com?from=a@b.c",
        "smtp://mail.example.com",
        "smtp://?from=a@b.c",
        "smtp://mail.example.com:x?from=a@b.c",
        "smtp://mail.example.com?from=a@b.c&to=d@e.f",
        "smtp://mail.example.com?from=a@b.c%0d%0aBcc: x@y.z",
    ],
)
def test_what_can_be_none_says_so_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="must be a URL such as smtps://"):
        MailServer.of(url)
