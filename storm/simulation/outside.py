"""What comes from outside: Nylas' webhooks, users who sign in, admins who ask for something, and the schedule."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlmodel import col
from starlette.requests import Request
from starlette.types import Message

from ingress import sign_in, webhooks
from ingress.events_admin import bring_back
from ingress.front import Front
from ingress.intake import Intake
from ingress.notice_retry import bring_back_deliveries, bring_back_notices
from ingress.spooling import Spooling
from models import CampaignItem, Delivery, Event, Notice, Outcome
from models.claims import Claimable
from models.columns import new_id
from models.inbox import receive, told
from models.kinds import GRANT_REPORTED, REAUTH_BULK_REQUESTED, SYNC_REQUESTED
from nylas_api import sign
from simulator.books import Grant as NylasRecord
from storm.books import Sent
from storm.poison import body as poison_body
from storm.simulation.passes import Work
from storm.simulation.world import WEBHOOK_SECRET, Hands, World
from tasks.campaigns import steering
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.ending import forget_secrets
from tasks.campaigns.planning import write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.unread import give_up_unread
from tasks.schedule import fire
from tasks.schedules import fire_due
from worker.schedule import CRONS

STEERING = {"pause": steering.pause, "resume": steering.resume, "cancel": steering.cancel, "retry": steering.retry}


@dataclass(frozen=True, slots=True)
class Visit:
    """A user is at Nylas: where the browser goes back to, and what it knows of us."""

    query: bytes
    cookie: bytes


class Web:
    """The web front, as a process: its handlers, its intake and its own place for sign-ins."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._front: tuple[Hands, Front, Spooling] | None = None

    def of(self, hands: Hands) -> Front:
        """The front of this process."""
        return self._opened(hands)[0]

    def _opened(self, hands: Hands) -> tuple[Front, Spooling]:
        if self._front is None or self._front[0] is not hands:
            spooling = Spooling(self._world.spool)
            intake = Intake(self._world.database, ring=hands.ctx.ring, spooling=spooling)
            self._world.loop.create_task(intake.run())
            self._front = hands, Front(self._world.settings, hands.ctx, intake, (WEBHOOK_SECRET,)), spooling
        return self._front[1:]

    async def looks_into_the_spool(self, hands: Hands) -> None:
        """Bring in what was left there."""
        front, spooling = self._opened(hands)
        await spooling.bring_in(front.intake.store)

    def brings(self, body: bytes, one: Sent, *, forged: bool = False, while_held: float = 0.0) -> Work:
        """Bring a webhook; somebody else writes from then on for `while_held` seconds."""
        signature = sign("another secret" if forged else WEBHOOK_SECRET, body)

        async def work(hands: Hands) -> int:
            statuses = list[int]()
            if while_held:
                await self._world.server.another_writes(while_held)

            async def receives() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            async def sends(message: Message) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            scope = {"type": "http", "headers": [(b"x-nylas-signature", signature.encode())]}
            await webhooks.notification(self.of(hands), scope, receives, sends)
            if statuses == [200]:
                self._world.notes.sent[one.id] = one
            return statuses[0]

        return work

    def leaves(self, email: str) -> Work:
        """Let a user leave for Nylas, and say yes there; return the visit, if it came to one."""

        async def work(hands: Hands) -> Visit | None:
            answer = await sign_in.connect(self._request(hands, "/connect/google", f"login_hint={email}", b""))
            if answer.status_code != 302:
                return None
            to = urlsplit(answer.headers["location"])
            back = await self._world.nylas.ask("GET", to.path, to.query)
            cookie = answer.headers["set-cookie"].partition(";")[0]
            return Visit(urlsplit(back.headers["location"]).query.encode(), cookie.encode())

        return work

    def returns(self, visit: Visit) -> Work:
        """Let the user's browser come back."""

        async def work(hands: Hands) -> int:
            request = self._request(hands, "/oauth/callback", visit.query.decode(), visit.cookie)
            return (await sign_in.callback(request)).status_code

        return work

    def _request(self, hands: Hands, path: str, query: str, cookie: bytes) -> Request:
        app = SimpleNamespace(state=SimpleNamespace(front=self.of(hands)))
        return Request(
            {
                "type": "http",
                "method": "GET",
                "path": path,
                "query_string": query.encode(),
                "headers": [(b"cookie", cookie)],
                "path_params": {"provider": "google"},
                "app": app,
            }
        )


def poison(kind: str, number: int) -> tuple[bytes, Sent]:
    """What no careful reader takes for a notification."""
    body = poison_body(kind, number)
    return body, Sent(hashlib.sha256(body).hexdigest(), poison=True)


class AtNylas:
    """What happens to grants there, behind our back."""

    def __init__(self, world: World) -> None:
        self._world, self._state = world, world.nylas.state

    def grant(self, number: int) -> NylasRecord | None:
        """One of those that are there."""
        there = list(self._state.books.by_id.values())
        return there[number % len(there)] if there else None

    def expires(self, number: int) -> None:
        """A grant expires, if it has not."""
        if (grant := self.grant(number)) and grant.grant_status == "valid":
            self._world.notes.expiries[grant.id] += 1
            self._state.expire(grant)

    def recovers(self, number: int) -> None:
        """Its user has signed in, by another door."""
        if grant := self.grant(number):
            self._state.books.touch(grant)
            self._state.tell_signed_in(grant, new=False)

    def is_deleted(self, number: int) -> None:
        """Another program deletes it."""
        if grant := self.grant(number):
            self._state.books.delete(grant)
            self._world.notes.deleted.add(grant.id)
            self._state.tell("grant.deleted", grant)

    def says(self, kind: str, number: int) -> None:
        """Something is told of a grant that is not true, or was long ago."""
        if grant := self.grant(number):
            self._state.tell(kind, grant)


def asks_to_sync(key: str) -> Work:
    """An admin asks for a sync."""
    return _tells(SYNC_REQUESTED, key, "cli")


async def retries_what_crashed(hands: Hands) -> bool:
    """An admin has events, notices and items dealt with again that were set aside since too many died at them."""
    ctx = hands.ctx
    await bring_back(ctx, select(Event).where(_crashed(Event)))
    await bring_back_deliveries(ctx, _crashed(Delivery))
    await bring_back_notices(ctx, _crashed(Notice))
    of_items = select(col(CampaignItem.campaign_id)).where(_crashed(CampaignItem)).distinct()
    async with ctx.database.reading() as session:
        campaigns = (await session.scalars(of_items)).all()
    for campaign_id in campaigns:
        await steers(campaign_id, "retry")(hands)
    return True


def _crashed(model: type[Claimable]) -> ColumnElement[bool]:
    return (col(model.outcome) == Outcome.SET_ASIDE) & (col(model.crashes) > 0)


def reports(grant_id: str, key: str) -> Work:
    """The product saw a grant fail."""
    return _tells(GRANT_REPORTED, key, "api", grant_id=grant_id)


def _tells(kind: str, key: str, source: str, *, grant_id: str | None = None) -> Work:
    async def work(hands: Hands) -> None:
        ctx = hands.ctx
        now = ctx.now()
        event = told(
            kind,
            key,
            application_id=ctx.application_id,
            source=source,
            now=now,
            grant_id=grant_id,
            occurred_at=now,
            raw=json.dumps({"key": key}).encode(),
        )
        async with ctx.database.writing() as session:
            new = await receive(session, [event])
        ctx.ring(kind, list(new))

    return work


def starts_campaign(grants: Sequence[str]) -> Work:
    """An admin asks for a campaign: for these grants, or for all that do not work."""
    request = CampaignRequest(grants=list(grants)) if grants else CampaignRequest(filter=GrantFilter())

    async def work(hands: Hands) -> UUID:
        ctx, id = hands.ctx, new_id()
        async with ctx.database.writing() as session:
            _, events = await write_campaign(
                session, ctx, request, source="cli", actor="an admin", now=ctx.now(), id=id
            )
        ctx.ring(REAUTH_BULK_REQUESTED, list(events))
        return id

    return work


def steers(campaign_id: UUID, how: str) -> Work:
    """An admin steers a campaign, if that can be."""

    async def work(hands: Hands) -> bool:
        try:
            await STEERING[how](hands.ctx, campaign_id, actor="an admin")
        except steering.NotNow:
            return False
        return True

    return work


async def beats(hands: Hands) -> None:
    """All schedules fire."""
    for kind, cron in CRONS.items():
        await fire.run(hands.ctx, kind, cron)
    await fire_due.run(hands.ctx)


async def keeps_house(hands: Hands) -> None:
    """Housekeeping fires, without what is only for the planner of a large database: that would take half the time."""
    await forget_secrets(hands.ctx)
    await give_up_unread(hands.ctx)
