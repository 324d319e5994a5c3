"""An application with so many grants, and with what belongs to them: 97 of 100 work, 3 have expired."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from bench.growth.numbers import Number, Numbers, Values
from lifecycle import GrantStatus
from models import (
    AuthSession,
    AuthSessionStatus,
    Campaign,
    CampaignItem,
    CampaignStatus,
    Delivery,
    Endpoint,
    Event,
    Grant,
    Notice,
    NoticeKind,
    Outcome,
    ReauthLink,
    Retirement,
    RetirementItem,
    RetirementStatus,
    Transition,
    Way,
)
from models.database import Database
from models.kinds import GRANT_EXPIRED, GRANT_UPDATED
from models.statistics import count_rows

A_CREDENTIAL_FOR = 200
"""So many grants are authenticated by one credential of an organisation, and a fifth of all are so."""
A_DAY = 86_400
LIFE, SPELLS = 180 * A_DAY, 14 * A_DAY
OLD_CAMPAIGNS = 10
RUNNING, PLAN, PRODUCT, ARCHIVE = (UUID(int=number) for number in range(100, 104))
"""The campaign that runs, an old plan of retirement, and two endpoints."""
_A_TABLE = 2**60


async def fill(database: Database, application_id: UUID, *, grants: int, now: datetime, due: int = 500) -> None:
    """Fill the migrated tables; so many events, notices and deliveries are due, however many grants there are.

    At last the database looks at what is there, as PostgreSQL's autovacuum and our housekeeping do.
    """
    async with database.writing() as session:
        numbers = Numbers(session, now)
        await _grants(numbers, application_id, grants)
        await _events(numbers, application_id, grants, due)
        await _history(numbers, grants)
        await _campaigns(numbers, application_id, grants)
        await _notices(numbers, application_id, grants, due)
        await _users(numbers, application_id, grants)
    await count_rows(database)
    if not database.is_sqlite:
        async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(sa.text("SET statement_timeout = 0"))
            await connection.execute(sa.text("VACUUM (ANALYZE)"))


def credential_of(account: int) -> str:
    """The name of a credential; there is one for each 1,000 grants."""
    return f"account-{account}"


def _has_expired(grant: Number) -> Any:
    return grant % 100 < 3


def _spell(grant: Number) -> Any:
    """How many seconds ago it expired: within the last fortnight."""
    return (grant * 7_919) % SPELLS


async def _grants(numbers: Numbers, application_id: UUID, grants: int) -> None:
    def grant(n: Number) -> Values:
        expired, ago = _has_expired(n), numbers.ago
        account = sa.literal("account-").concat(sa.cast(n % max(grants // A_CREDENTIAL_FOR, 5), sa.String))
        provider = sa.case((n % 10 < 6, "google"), (n % 10 < 9, "microsoft"), else_="imap")
        return {
            "id": numbers.grant_id(n),
            "application_id": application_id,
            "provider": provider,
            "email": sa.literal("User").concat(sa.cast(n, sa.String)).concat("@example.com"),
            "scope": ["mail.read"],
            "credential_id": sa.case((n % 5 == 0, account)),
            "status": sa.case((expired, GrantStatus.EXPIRED.value), else_=GrantStatus.VALID.value),
            "blocked": False,
            "as_of": ago(n % 3_600),
            "created_at": ago(LIFE),
            "authenticated_at": ago(LIFE),
            "expired_at": sa.case((expired, ago(_spell(n) + 60))),
            "expiry_seen_at": sa.case((expired, ago(_spell(n)))),
            "confirm_at": sa.case((expired, ago(_spell(n) - 120))),
            "confirmed_at": sa.case((expired & (_spell(n) > 120), ago(_spell(n) - 120))),
            "flaps": 0,
            "notices": 3,
            "first_seen_at": ago(LIFE),
            "version": 1,
        }

    await numbers.add(Grant, grants, grant)


def _work(numbers: Numbers, n: Number, *, ago: Any, done: bool) -> Values:
    """What each row of work has: settled as it should be, or due."""
    ended: Values = {"settled_at": numbers.ago(ago), "outcome": Outcome.DONE.value, "attempts": 1} if done else {}
    return {"id": numbers.uuid(n), "due_at": numbers.ago(ago), "attempts": 0, "crashes": 0} | ended


async def _events(numbers: Numbers, application_id: UUID, grants: int, due: int) -> None:
    """Three for each grant over the last 90 days, and those that are due."""

    def told(n: Number, *, ago: Any, done: bool) -> Values:
        return _work(numbers, n, ago=ago, done=done) | {
            "application_id": application_id,
            "kind": GRANT_UPDATED if done else GRANT_EXPIRED,
            "key": sa.literal("event:").concat(sa.cast(n, sa.String)),
            "source": "nylas",
            "grant_id": numbers.grant_id(n % grants),
            "raw": b"{}",
            "received_at": numbers.ago(ago),
        }

    apart = 90 * A_DAY // (3 * grants) + 1
    await numbers.add(Event, 3 * grants, lambda n: told(n, ago=(3 * grants - n) * apart, done=True))
    await numbers.add(Event, due, lambda n: told(n + 3 * grants, ago=1, done=False))


async def _history(numbers: Numbers, grants: int) -> None:
    """Each became known; of five, one has expired and come back; and some have expired lately."""

    def moved(n: Number, kind: int, ago: Any, old: GrantStatus | None, new: GrantStatus, where: Any) -> Values:
        return {
            "id": numbers.uuid(n + kind * _A_TABLE),
            "grant_id": numbers.grant_id(n),
            "at": numbers.ago(ago),
            "observed_at": numbers.ago(ago),
            "old_status": old,
            "new_status": new,
            "blocked": False,
            "cause": GRANT_EXPIRED if old else "sync",
            "where": where,
        }

    valid, expired = GrantStatus.VALID, GrantStatus.EXPIRED
    before, some = SPELLS + 3_600, sa.true()
    await numbers.add(Transition, grants, lambda n: moved(n, 0, LIFE, None, valid, some))
    await numbers.add(Transition, grants, lambda n: moved(n, 1, before + n % LIFE, valid, expired, n % 5 == 1))
    await numbers.add(Transition, grants, lambda n: moved(n, 2, before - 3_600 + n % LIFE, expired, valid, n % 5 == 1))
    await numbers.add(Transition, grants, lambda n: moved(n, 3, _spell(n), valid, expired, _has_expired(n)))


async def _campaigns(numbers: Numbers, application_id: UUID, grants: int) -> None:
    """Ten that are over, with three of ten grants between them, and one that runs, with half of those that expired."""

    def campaign(n: Number, status: CampaignStatus) -> Values:
        running = status is CampaignStatus.RUNNING
        return {
            "id": RUNNING if running else numbers.uuid(n),
            "application_id": application_id,
            "status": status,
            "filter": {},
            "created_at": numbers.ago(A_DAY),
            "started_at": numbers.ago(A_DAY),
            "finished_at": sa.null() if running else numbers.ago(A_DAY),
            "total": grants * 3 // 100,
            "source": "cli",
            "ask_users": False,
        }

    def item(n: Number, *, done: bool) -> Values:
        failed = {"outcome": sa.case((n % 50 == 0, Outcome.FAILED.value), else_=Outcome.DONE.value)} if done else {}
        deadline = sa.literal(int(numbers.now.timestamp()), sa.BigInteger) + n % (3 * A_DAY)
        return _work(numbers, n if done else n + _A_TABLE, ago=A_DAY + n % LIFE if done else 1, done=done) | {
            **failed,
            "campaign_id": numbers.uuid(n % OLD_CAMPAIGNS) if done else RUNNING,
            "grant_id": numbers.grant_id(n),
            "way": Way.CREDENTIAL,
            "rank": deadline,
            "cause": sa.case((n % 50 == 0, "invalid_grant")) if done else sa.null(),
            "where": sa.true() if done else n % 200 < 3,
        }

    await numbers.add(Campaign, OLD_CAMPAIGNS, lambda n: campaign(n, CampaignStatus.FINISHED))
    await numbers.add(Campaign, 1, lambda n: campaign(n, CampaignStatus.RUNNING))
    await numbers.add(CampaignItem, grants * 3 // 10, lambda n: item(n, done=True))
    await numbers.add(CampaignItem, grants, lambda n: item(n, done=False))


async def _notices(numbers: Numbers, application_id: UUID, grants: int, due: int) -> None:
    """One of two grants was told of; each that expired has a reminder planned; some of both are due."""

    def notice(n: Number, kind: NoticeKind, base: int, ago: Any, *, done: bool, where: Any) -> Values:
        return _work(numbers, n + base * _A_TABLE, ago=ago, done=done) | {
            "application_id": application_id,
            "kind": kind,
            "grant_id": numbers.grant_id(n * 2 if done else n),
            "seq": base + 1,
            "number": 0 if done else 1,
            "data": {},
            "occurred_at": numbers.ago(ago),
            "created_at": numbers.ago(ago),
            "where": where,
        }

    def delivery(n: Number, endpoint: UUID, base: int, ago: Any, *, done: bool) -> Values:
        return _work(numbers, n + base * _A_TABLE, ago=ago, done=done) | {
            "notice_id": numbers.uuid(n),
            "endpoint_id": endpoint,
            "grant_id": numbers.grant_id(n * 2),
            "seq": 1,
        }

    def endpoint(n: Number, id: UUID, url: str) -> Values:
        what = {"id": id, "application_id": application_id, "url": url, "secret": sa.literal("eg1.x.y")}
        return what | {"kinds": [], "source": "cli", "created_at": numbers.ago(n + LIFE)}

    half, fewer = grants // 2, min(due, grants // 2)
    later, some = -A_DAY, sa.true()
    old = NoticeKind.RECOVERED
    await numbers.add(Endpoint, 1, lambda n: endpoint(n, PRODUCT, "https://product.example/notices"))
    await numbers.add(Endpoint, 1, lambda n: endpoint(n, ARCHIVE, "https://archive.example/notices"))
    await numbers.add(Notice, half, lambda n: notice(n, old, 0, 7_200 + n % LIFE, done=True, where=some))
    ask = NoticeKind.REAUTH_REQUIRED
    await numbers.add(Notice, grants, lambda n: notice(n, ask, 1, later, done=False, where=_has_expired(n)))
    await numbers.add(Notice, fewer, lambda n: notice(n, NoticeKind.VALID, 2, 1, done=False, where=some))
    await numbers.add(Delivery, half, lambda n: delivery(n, PRODUCT, 0, 7_200 + n % LIFE, done=True))
    await numbers.add(Delivery, fewer, lambda n: delivery(n, ARCHIVE, 1, 1, done=False))


async def _users(numbers: Numbers, application_id: UUID, grants: int) -> None:
    """Each grant began with a sign-in; those that expired have a link; one of a hundred was in a plan that is over."""

    def sign_in(n: Number) -> Values:
        return {
            "id": numbers.uuid(n),
            "application_id": application_id,
            "status": AuthSessionStatus.DONE,
            "provider": "google",
            "state_hash": numbers.hexed(n, 64),
            "browser_hash": "browser",
            "redirect_uri": "https://product.example/oauth/callback",
            "created_at": numbers.ago(LIFE),
            "expires_at": numbers.ago(LIFE),
            "ended_at": numbers.ago(LIFE),
            "grant_id": numbers.grant_id(n),
        }

    def link(n: Number) -> Values:
        times = {"created_at": numbers.ago(_spell(n)), "expires_at": numbers.ago(_spell(n) - A_DAY)}
        who = {"application_id": application_id, "grant_id": numbers.grant_id(n), "created_by": "evergrant"}
        return {"id": numbers.uuid(n), "where": _has_expired(n)} | who | times

    def retired(n: Number) -> Values:
        grant = numbers.grant_id(n * 100 + 50)
        work = _work(numbers, n, ago=A_DAY, done=True)
        return work | {"outcome": Outcome.SKIPPED.value, "retirement_id": PLAN, "grant_id": grant}

    def plan(n: Number) -> Values:
        what: dict[str, Any] = {"id": PLAN, "application_id": application_id, "status": RetirementStatus.FINISHED}
        return what | {"policy": {}, "total": grants // 100, "created_at": numbers.ago(n + A_DAY)}

    await numbers.add(AuthSession, grants, sign_in)
    await numbers.add(ReauthLink, grants, link)
    await numbers.add(Retirement, 1, plan)
    await numbers.add(RetirementItem, grants // 100, retired)


async def rows_of(session: AsyncSession, model: type[SQLModel]) -> int:
    """Count the rows of a table."""
    return await session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
