"""The API as its tests call it: in process, on the web front of an installation, with tokens of each scope."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import select
from sqlmodel import SQLModel

from ingress.api import PATH
from lifecycle import GrantStatus
from models import ApiToken, Application, Grant
from models.auth_session import digest
from models.columns import new_id
from models.database import Database
from tests.front import served
from tests.rows import as_row

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bearer(token: str) -> dict[str, str]:
    """The header of a call with this token."""
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Api:
    """The API, open; a call is made by an admin's token unless it says otherwise."""

    http: httpx.AsyncClient
    database: Database
    application: Application

    async def __call__(
        self, method: str, path: str, *, status: int = 200, by: str | None = "admin", **more: Any
    ) -> Any:
        """Call it; return the JSON of an answer that must have this status."""
        answer = await self.http.request(method, PATH + path, headers=bearer(by) if by else {}, **more)
        assert answer.status_code == status, answer.text
        assert answer.headers["cache-control"] == "no-store"
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status
        return answer.json() if answer.content else None

    async def keep(self, *rows: SQLModel) -> None:
        """Put rows into the database."""
        async with self.database.writing() as session:
            session.add_all(as_row(row) for row in rows)
            await session.flush()

    def grant(self, grant_id: str, **more: Any) -> Grant:
        """Make the row of a grant."""
        row = Grant(
            id=grant_id,
            application_id=self.application.id,
            provider="google",
            email=f"{grant_id}@example.com",
            status=GrantStatus.VALID,
            as_of=NOW,
            first_seen_at=NOW,
        )
        for name, value in more.items():
            setattr(row, name, value)
        return row

    def token(self, token: str, scopes: Sequence[str], **more: Any) -> ApiToken:
        """Make the row of a token."""
        row = ApiToken(
            id=new_id(),
            application_id=self.application.id,
            name=token,
            token_hash=digest(token),
            scopes=list(scopes),
            created_at=NOW,
        )
        for name, value in more.items():
            setattr(row, name, value)
        return row


@asynccontextmanager
async def opened(database: Database, redis_url: str) -> AsyncIterator[Api]:
    """Open the web front; `read`, `grants` and `admin` are tokens that are good for just that."""
    async with served(redis_url) as http:
        async with database.reading() as session:
            application = (await session.scalars(select(Application))).one()
        api = Api(http, database, application)
        await api.keep(*(api.token(scope, [scope]) for scope in ("read", "grants", "admin")))
        yield api
