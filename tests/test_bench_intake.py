"""The bench's load: it plays each prepared request once, and counts what truly came back."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bench.events.figures import cpu_seconds, percentile
from bench.intake import bodies
from bench.intake.loader import play, whole
from nylas_api import signature_matches

SECRET = "webhook-secret-of-the-load"


class Front:
    """A server that keeps what it was sent; it fails each third request, or drops it, when told to."""

    def __init__(self) -> None:
        self.port = 0
        self.bodies: list[bytes] = []
        self.forged = 0
        self.third = "taken"

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.forged += not signature_matches([SECRET], body, request.headers["x-nylas-signature"])
        self.bodies.append(body)
        if len(self.bodies) % 3 == 0 and self.third == "dropped" and request.transport:
            request.transport.abort()
        failed = len(self.bodies) % 3 == 0 and self.third == "refused"
        return web.Response(status=503 if failed else 200, text="later" if failed else "")


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    """A server on a port of its own."""
    front = Front()
    app = web.Application()
    app.router.add_post(bodies.PATH, front.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    front.port = runner.addresses[0][1]
    yield front
    await runner.cleanup()


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Thirty requests."""
    bodies.write(tmp_path / "requests", range(30), SECRET)
    return tmp_path / "requests"


async def test_each_prepared_request_arrives_once_and_is_signed(front: Front, prepared: Path) -> None:
    played = await play(prepared, port=front.port, connections=4, seconds=30)
    assert sorted(front.bodies) == sorted(bodies.notification(number) for number in range(30))
    assert front.forged == 0
    assert played["statuses"] == {200: 30}


async def test_more_connections_than_requests_still_come_to_an_end(front: Front, prepared: Path) -> None:
    played = await play(prepared, port=front.port, connections=40, seconds=30)
    assert played["statuses"] == {200: 30}


async def test_nothing_is_sent_when_the_time_is_over(front: Front, prepared: Path) -> None:
    with pytest.raises(ValueError, match="nothing was answered"):
        await play(prepared, port=front.port, connections=4, seconds=0)
    assert front.bodies == []


async def test_an_answer_that_is_no_200_is_counted_as_what_it_is(front: Front, prepared: Path) -> None:
    front.third = "refused"
    played = await play(prepared, port=front.port, connections=4, seconds=30)
    assert played["statuses"] == {200: 20, 503: 10}


async def test_a_connection_that_breaks_is_an_answer_that_did_not_come(front: Front, prepared: Path) -> None:
    front.third = "dropped"
    played = await play(prepared, port=front.port, connections=2, seconds=30)
    assert played["statuses"] == {200: 4, 0: 2}  # each connection ends where it breaks


def test_an_answer_is_whole_with_its_last_byte() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
    assert [whole(answer[:length]) for length in range(len(answer))] == [None] * len(answer)
    assert whole(answer) == 200


def test_an_answer_that_does_not_tell_its_length_is_refused() -> None:
    with pytest.raises(ValueError, match="without a length"):
        whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (75, 3.0), (99, 4.0), (100, 4.0), (1, 1.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], percent) == value


def test_cpu_is_counted_over_a_session_with_children_that_have_ended() -> None:
    burn = "import os\nwhile os.times().user < 0.2: pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print(flush=True); input()"
    busy = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert busy.stdout
    busy.stdout.readline()
    used = cpu_seconds(busy.pid)
    busy.communicate(b"\n")
    assert used >= 0.2
    assert cpu_seconds(busy.pid) == 0


async def test_the_time_of_an_answer_is_its_own(front: Front, prepared: Path) -> None:
    played = await play(prepared, port=front.port, connections=3, seconds=30)
    milliseconds = played["milliseconds"]
    assert isinstance(milliseconds, list)
    assert len(milliseconds) == 30
    assert milliseconds == sorted(milliseconds)
