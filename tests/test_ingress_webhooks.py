"""The webhook endpoint: nothing unsigned gets in, and 200 means that the row is safe."""

import asyncio
import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from ingress.web import make_web
from ingress.webhooks import LONGEST_CHALLENGE, MOST_BYTES
from models import Outcome
from models.database import Database
from nylas_api import sign
from tests.conftest import CLIENT_ID, WEBHOOK_SECRET
from tests.front import inbox, installed, kept, only_sqlite, served, without_database
from worker.settings import read

PATH = "/webhooks/nylas"
SIGNATURE = "X-Nylas-Signature"
EXAMPLES = Path(__file__).parents[2] / "shared" / "nylas" / "examples"
__all__ = ["installed", "without_database"]
pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
async def web(database: Database, valkey: str) -> AsyncIterator[httpx.AsyncClient]:
    """The web front, open."""
    async with served(valkey) as http:
        yield http


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    """Serve on a port as `evergrant web` does; tell its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, access_log=False, log_config=None))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


def notice(event_id: str = "e1", **more: Any) -> bytes:
    """The body of a notification."""
    about = {"code": 25009, "grant_id": "3f6a1c88-5b0e-4d29-9b77-c04e12a9d6f1", "provider": "google"}
    data = {"application_id": CLIENT_ID, "object": about}
    return json.dumps({"type": "grant.expired", "id": event_id, "time": 1767425600, "data": data} | more).encode()


async def send(http: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    """Deliver as Nylas does, signed with our secret unless a signature is given."""
    signed = {SIGNATURE: sign(WEBHOOK_SECRET, body)} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return await http.post(PATH, content=body, headers=signed)


@only_sqlite
async def test_the_challenge_comes_back_exactly_and_as_plain_text(web: httpx.AsyncClient) -> None:
    for value in ("4c7e1f90-made-up-challenge", "a b+c%&=?", "x" * LONGEST_CHALLENGE, "<script>alert(1)</script>"):
        answer = await web.get(PATH, params={"challenge": value})
        assert (answer.status_code, answer.text) == (200, value)
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-length"] == str(len(value))  # Nylas takes no chunks


@only_sqlite
async def test_what_is_no_challenge_is_not_echoed(web: httpx.AsyncClient) -> None:
    for value in ("", "é", "a\r\nSet-Cookie: a=b", "\0", "x" * (LONGEST_CHALLENGE + 1), "x" * 60_000):
        answer = await web.get(PATH, params={"challenge": value})
        assert answer.status_code == 400
        assert answer.text == "This is where Nylas sends its notifications.\n"
    assert (await web.get(PATH)).status_code == 400


async def test_a_signed_notification_is_committed_before_it_is_answered_for(
    web: httpx.AsyncClient, database: Database
) -> None:
    for number in range(20):
        answer = await send(web, notice(f"e{number}"))
        assert (answer.status_code, answer.content) == (200, b"")
        assert len(await kept(database)) == number + 1
    row = (await kept(database))[0]
    assert (row.kind, row.source, row.outcome) == ("grant.expired", "nylas", None)
    assert row.raw in [notice(f"e{number}") for number in range(20)]


@only_sqlite
async def test_whatever_is_not_signed_by_nylas_gets_nowhere(web: httpx.AsyncClient, database: Database) -> None:
    body = notice()
    good = sign(WEBHOOK_SECRET, body)
    flipped = [f"{int(good, 16) ^ 1 << bit:064x}" for bit in range(256)]
    wrong = [
        *flipped,
        "",
        " ",
        "0" * 64,
        good[:-1],
        good + "0",
        good[1:] + good[0],
        sign("another secret", body),
        f"{good},{good}",
    ]
    wrong += [
        "sha1=" + good,
        b64encode(bytes.fromhex(good)).decode(),
        sign(WEBHOOK_SECRET, b""),
        hashlib.sha256(body).hexdigest(),
    ]
    for signature in wrong:
        assert (await send(web, body, **{SIGNATURE: signature})).status_code == 401, signature
    for raw in ("é" * 32, "\uff46" * 21, "\u0661" * 32):
        answer = await web.post(PATH, content=body, headers=[(SIGNATURE.encode(), raw.encode())])
        assert answer.status_code == 401, raw
    for headers in ([], [(SIGNATURE, good), (SIGNATURE, good)], [(SIGNATURE, good), (SIGNATURE, "x")]):
        assert (await web.post(PATH, content=body, headers=headers)).status_code == 401
    for other in (json.dumps(json.loads(body), indent=2).encode(), body + b"\n", body[:-1], b"", body.upper()):
        assert (await send(web, other, **{SIGNATURE: good})).status_code == 401
    assert await inbox(database) == []


@only_sqlite
async def test_a_compressed_body_is_verified_as_it_came_and_kept_plain(
    web: httpx.AsyncClient, database: Database
) -> None:
    """Nylas signs the compressed bytes."""
    packed = gzip.compress(notice())
    over_the_plain = await send(web, packed, Content_Encoding="gzip", **{SIGNATURE: sign(WEBHOOK_SECRET, notice())})
    assert over_the_plain.status_code == 401

    assert (await send(web, packed, Content_Encoding="GZip")).status_code == 200
    assert (await send(web, notice())).status_code == 200

    [row] = await kept(database)
    assert (row.raw, row.kind) == (notice(), "grant.expired")


@only_sqlite
async def test_a_body_that_only_says_that_it_is_gzip_is_kept_and_set_aside(
    web: httpx.AsyncClient, database: Database
) -> None:
    for body in (b"no gzip", gzip.compress(notice(), mtime=0)[:-20]):
        assert (await send(web, body, Content_Encoding="gzip")).status_code == 200
        assert body in [row.raw for row in await kept(database)]
    assert {row.outcome for row in await kept(database)} == {Outcome.SET_ASIDE}


@only_sqlite
async def test_what_is_larger_than_nylas_sends_is_refused_also_once_inflated(
    web: httpx.AsyncClient, database: Database
) -> None:
    bomb = gzip.compress(bytes(16 * 1024 * 1024))
    assert len(bomb) < 20_000
    assert (await send(web, bomb, Content_Encoding="gzip")).status_code == 413
    assert (await send(web, b" " * (MOST_BYTES + 1))).status_code == 413
    largest = notice(padding="x" * (MOST_BYTES - len(notice(padding=""))))
    assert len(largest) == MOST_BYTES
    assert await inbox(database) == []
    assert (await send(web, largest)).status_code == 200


@only_sqlite
async def test_a_body_without_an_end_is_refused_while_it_comes(web: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield bytes(65536)

    answer = await web.post(PATH, content=endless(), headers={SIGNATURE: "x"})

    assert answer.status_code == 413
    assert sent <= MOST_BYTES + 65536


@only_sqlite
async def test_while_a_secret_is_rotated_the_old_one_and_the_new_one_are_good(
    database: Database, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGRANT_NYLAS_WEBHOOK_SECRET", f"the-new-one, {WEBHOOK_SECRET}")
    async with served(valkey) as web:
        for number, secret in enumerate([WEBHOOK_SECRET, "the-new-one"]):
            assert (await send(web, notice(str(number)), **{SIGNATURE: sign(secret, notice(str(number)))})).is_success
        both = f"the-new-one, {WEBHOOK_SECRET}"
        for secret in ("", both, "the-new-one,"):
            assert (await send(web, notice(), **{SIGNATURE: sign(secret, notice())})).status_code == 401

    monkeypatch.setenv("EVERGRANT_NYLAS_WEBHOOK_SECRET", "the-new-one")
    async with served(valkey) as web:
        assert (await send(web, notice())).status_code == 401
    assert len(await inbox(database)) == 2


@only_sqlite
@pytest.mark.parametrize("none", ["", ",", " , "])
async def test_without_a_secret_nylas_is_asked_to_come_again(
    database: Database, valkey: str, monkeypatch: pytest.MonkeyPatch, none: str
) -> None:
    """503, which Nylas tries again, and never a body that was signed with the empty secret."""
    monkeypatch.setenv("EVERGRANT_NYLAS_WEBHOOK_SECRET", none)
    async with served(valkey) as web:
        answer = await send(web, notice(), **{SIGNATURE: sign("", notice())})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert await inbox(database) == []


async def test_the_same_event_fifty_times_at_once_over_eight_connections_is_one_row(
    database: Database, valkey: str
) -> None:
    """Attempts differ in their number, and so in their bytes."""
    bodies = [notice(webhook_delivery_attempt=number % 3 + 1) for number in range(50)]
    limits = httpx.Limits(max_connections=8)
    async with (
        listening(make_web(read(), redis_url=valkey)) as url,
        httpx.AsyncClient(base_url=url, limits=limits, timeout=20) as http,
    ):
        answers = await asyncio.gather(*(send(http, body) for body in bodies))

    assert [answer.status_code for answer in answers] == [200] * 50
    [row] = await inbox(database)
    assert row.raw in bodies


@only_sqlite
async def test_other_methods_and_paths_are_not_there(web: httpx.AsyncClient) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert (await web.request(method, PATH)).status_code == 405
    for path in ("/", "/webhooks", "/webhooks/nylas/x", "/docs", "/openapi.json", "/webhooks/../etc/passwd"):
        assert (await web.get(path)).status_code == 404


@only_sqlite
async def test_nylas_own_examples_are_taken(web: httpx.AsyncClient, database: Database) -> None:
    """With the folder of examples at hand, each of them; the project stands without it."""
    payloads = [path.read_bytes() for path in sorted(EXAMPLES.glob("webhook.payload.*.json"))]
    assert len(payloads) >= 8 or not EXAMPLES.is_dir()
    for body in [*payloads, notice()]:
        assert (await send(web, body)).status_code == 200
    rows = await kept(database)
    assert {row.raw for row in rows} == {*payloads, notice()}
    assert all(row.grant_id and row.kind.startswith("grant.") for row in rows)


@only_sqlite
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=400), encoding=st.sampled_from(["", "gzip", "br", "identity"]))
async def test_signed_nonsense_is_taken_and_never_an_error(web: httpx.AsyncClient, body: bytes, encoding: str) -> None:
    for sent in (body, gzip.compress(body)):
        assert (await send(web, sent, Content_Encoding=encoding)).status_code == 200
