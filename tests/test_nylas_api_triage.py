"""What a 401 means: one canary call tells a refused key from a grant whose access has ended."""

import asyncio
from datetime import datetime, timedelta

import pytest

from nylas_api import KeyRejected, VirtualCalendar, errors
from tests.wire import CODE, NOW, Wire, answer, grant, hang_up, nylas

APPLICATION = answer(200, {"request_id": "canary", "data": {"application_id": "app"}})
GRANT = answer(200, {"data": grant()})
NO = answer(401, {"request_id": "r1", "error": {"type": "api.authentication_error", "message": "Unauthorized"}})
NO_KEY = answer(401, {"request_id": "r2", "error": {"type": "api.authentication_error", "message": "Unauthorized"}})


class Heard:
    """Hears of the key, and has a clock to set."""

    def __init__(self) -> None:
        self.of_key: list[KeyRejected | None] = []
        self.time = NOW

    def options(self) -> dict[str, object]:
        return {"key_heard": self.of_key.append, "now": self.now, "attempts": 3}

    def now(self) -> datetime:
        return self.time


def paths(wire: Wire) -> list[str]:
    return [head.split()[1] for head in wire.heads]


async def test_a_401_with_a_good_key_is_about_the_grant() -> None:
    heard = Heard()
    async with nylas(NO, APPLICATION, NO, APPLICATION, **heard.options()) as (client, wire):
        with pytest.raises(errors.GrantUnauthorized) as caught:
            await client.grants.get("g1")
        with pytest.raises(errors.GrantUnauthorized):
            await client.auth.custom(provider="virtual-calendar", settings=VirtualCalendar(email="a"))
    assert (caught.value.status, caught.value.type, caught.value.request_id) == (401, "api.authentication_error", "r1")
    assert paths(wire) == ["/v3/grants/g1", "/v3/applications", "/v3/connect/custom", "/v3/applications"]
    assert heard.of_key == []


async def test_a_401_of_what_concerns_no_grant_is_neither() -> None:
    async with nylas(NO, APPLICATION) as (client, _):
        with pytest.raises(errors.Unauthorized) as caught:
            await client.connectors.list()
    assert type(caught.value) is errors.Unauthorized


async def test_a_refused_key_is_told_once_and_then_nothing_is_asked() -> None:
    heard = Heard()
    async with nylas(NO, NO_KEY, **heard.options()) as (client, wire):
        for _ in range(5):
            with pytest.raises(errors.KeyRejected, match="API key") as caught:
                await client.grants.get("g1")
        with pytest.raises(errors.KeyRejected):
            await client.webhooks.list()
    assert paths(wire) == ["/v3/grants/g1", "/v3/applications"]
    assert caught.value.request_id == "r2"
    assert [str(one) for one in heard.of_key] == [str(caught.value)]


async def test_the_canary_alone_is_asked_again_ever_more_seldom_until_the_key_is_taken() -> None:
    heard = Heard()
    async with nylas(NO, NO_KEY, NO_KEY, NO_KEY, APPLICATION, GRANT, **heard.options()) as (client, wire):
        for wait, asked in [(0, 2), (4, 2), (1, 3), (4, 3), (51, 4), (7, 4)]:
            heard.time += timedelta(seconds=wait)
            with pytest.raises(errors.KeyRejected):
                await client.grants.get("g1")
            assert len(wire.heads) == asked
        heard.time += timedelta(seconds=1)
        assert (await client.grants.get("g1")).data.id == "g1"
    assert paths(wire)[1:] == ["/v3/applications"] * 4 + ["/v3/grants/g1"]
    assert heard.of_key[1:] == [None]


async def test_those_who_are_refused_together_share_a_canary() -> None:
    heard = Heard()
    everyone = 20

    class Nylas(Wire):
        """Refuses the grants, all at the same moment."""

        def __init__(self) -> None:
            super().__init__([self.reply] * 100)
            self.arrived = asyncio.Barrier(everyone)

        async def reply(self, writer: asyncio.StreamWriter) -> None:
            if "/v3/applications" in self.heads[-1]:
                writer.write(APPLICATION)
            else:
                await self.arrived.wait()
                writer.write(NO)

    server = Nylas()
    async with nylas(wire=server, **heard.options()) as (client, wire):
        told = await asyncio.gather(*(client.grants.get("g") for _ in range(everyone)), return_exceptions=True)
    assert all(type(error) is errors.GrantUnauthorized for error in told)
    assert paths(wire).count("/v3/applications") <= 2  # one may have set out before the last refusal was read


@pytest.mark.parametrize("silence", [hang_up, answer(503, b""), answer(429, b""), answer(200, b"<html>")])
async def test_where_the_canary_can_not_tell_nothing_is_concluded(silence: object) -> None:
    heard = Heard()
    async with nylas(NO, silence, **heard.options() | {"attempts": 1}) as (client, _):
        with pytest.raises(errors.Unavailable, match="could not be asked") as caught:
            await client.grants.get("g1")
    assert not caught.value.outcome_unknown
    assert heard.of_key == []


async def test_asking_for_the_application_itself_is_the_canary() -> None:
    async with nylas(NO_KEY) as (client, wire):
        with pytest.raises(errors.KeyRejected):
            await client.applications.get()
    assert len(wire.heads) == 1


async def test_a_token_that_is_refused_says_nothing_of_the_key() -> None:
    async with nylas(NO, NO) as (client, wire):
        with pytest.raises(errors.Unauthorized) as caught:
            await client.grants.get_by_access_token("t")
        with pytest.raises(errors.Unauthorized):
            await client.auth.exchange_code(code=CODE, redirect_uri="https://a/cb")
    assert type(caught.value) is errors.Unauthorized
    assert paths(wire) == ["/v3/grants/me", "/v3/connect/token"]
    assert "authorization: bearer t" in wire.heads[0].lower()
