"""The API's stream of how far a campaign is: until it ends, the caller goes, or the token does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col
from starlette.types import Message, Receive, Scope, Send

from ingress.api import PATH, campaign_events
from ingress.api.app import Bounds
from models import ApiToken, Campaign, CampaignStatus
from models.database import Database
from tests.api import NOW, Api, opened
from tests.campaigning import failed
from tests.front import installed, without_database

__all__ = ["installed", "without_database"]
pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
async def api(database: Database, valkey: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """The API, open, with two grants; it looks often."""
    monkeypatch.setattr(campaign_events, "EVERY", 0.01)
    async with opened(database, valkey) as api:
        await api.keep(api.grant("g1"), api.grant("g2"))
        yield api


class Stream:
    """A call as a server makes it: what comes is there as it comes, and the caller may go."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.come: asyncio.Queue[Message] = asyncio.Queue()
        self.gone = asyncio.Event()
        self._asked = False

    async def receive(self) -> Message:
        """First the request, which has no body; then nothing until the caller goes."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take what is answered."""
        await self.come.put(message)

    async def next(self) -> tuple[str, dict[str, Any]] | None:
        """Wait for the next event; None at the end of the answer."""
        while True:
            message = await asyncio.wait_for(self.come.get(), 10)
            if message["type"] == "http.response.start":
                assert message["status"] == 200
            elif not message.get("more_body"):
                return None
            elif message["body"].startswith(b"event: "):
                name, data = message["body"].decode().splitlines()[:2]
                return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@asynccontextmanager
async def following(api: Api, campaign: Campaign, *, by: str = "read") -> AsyncIterator[Stream]:
    """Follow a campaign; its call must end, at the latest when the caller goes."""
    path, stream = f"{PATH}/campaigns/{campaign.id}/events", Stream()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {by}".encode())],
        "server": ("web", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    transport = api.http._transport
    assert isinstance(transport, httpx.ASGITransport)
    call = asyncio.create_task(transport.app(scope, stream.receive, stream.send))
    yield stream
    stream.gone.set()
    await asyncio.wait_for(call, 10)


async def becomes(api: Api, **values: object) -> None:
    """Let the campaign be something else."""
    async with api.database.writing() as session:
        await session.execute(update(Campaign).values(**values))


async def test_a_campaign_that_has_ended_is_told_of_at_once(api: Api) -> None:
    campaign = await failed(api)
    async with following(api, campaign) as stream:
        name, told = await stream.next() or ("", {})
        assert (name, told["status"], told["outcomes"]) == ("end", "finished", {"done": 1, "failed": 1, "skipped": 1})
        assert (told["total"], told["ended"], told["left"]) == (3, 3, 0)
        assert await stream.next() is None


async def test_one_that_goes_on_is_followed_until_it_ends(api: Api) -> None:
    campaign = await failed(api, CampaignStatus.PAUSED)
    async with following(api, campaign) as stream:
        assert (await stream.next() or ("", {}))[0] == "progress"
        await becomes(api, status=CampaignStatus.STOPPED, reason="3 of 3 failed")
        name, told = await stream.next() or ("", {})
        assert (name, told["status"], told["reason"]) == ("progress", "stopped", "3 of 3 failed")
        await becomes(api, status=CampaignStatus.CANCELLED, finished_at=NOW)
        name, told = await stream.next() or ("", {})
        assert (name, told["status"]) == ("end", "cancelled")
        assert await stream.next() is None


async def test_a_stream_ends_when_its_caller_goes_and_only_so_many_are_open(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_events, "AT_ONCE", 1)
    campaign = await failed(api, CampaignStatus.PAUSED)
    path = f"/campaigns/{campaign.id}/events"
    async with following(api, campaign) as stream:
        assert await stream.next()
        assert (await api("GET", path, status=503))["code"] == "too_many_streams"
    async with following(api, campaign) as stream:
        assert await stream.next()


async def test_a_stream_ends_with_its_token(api: Api) -> None:
    campaign = await failed(api, CampaignStatus.PAUSED)
    async with following(api, campaign) as stream:
        assert await stream.next()
        async with api.database.writing() as session:
            await session.execute(update(ApiToken).where(col(ApiToken.name) == "read").values(revoked_at=NOW))
        assert await stream.next() is None


async def test_a_stream_may_take_longer_than_an_answer() -> None:
    scope = {"type": "http", "path": "/x", "root_path": ""}
    stream, slow = Stream(), asyncio.Event()

    async def streams(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await asyncio.sleep(0.05)
        slow.set()
        await send({"type": "http.response.body", "body": b""})

    await Bounds(streams, seconds=0.01, most_bytes=1)(scope, stream.receive, stream.send)
    assert slow.is_set()
