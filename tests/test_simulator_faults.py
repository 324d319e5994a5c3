"""Bad days at the simulator: faults of each mode, the log of calls, latency, stopping."""

import asyncio
import base64
import signal
import subprocess
import sys
import time

import httpx
import pytest

from simulator import Running, start
from tests.simulated import http, sim

__all__ = ["http", "sim"]

ROOM = {"provider": "virtual-calendar", "settings": {"email": "room"}}


async def fail(http: httpx.AsyncClient, path: str, **how: object) -> None:
    answer = await http.post("/_sim/faults", json={"path": path, "count": 1, **how})
    assert answer.status_code == 200, answer.text


async def rooms(sim: Running) -> list[str]:
    return [grant.email for grant in sim.state.books.by_id.values()]


async def test_an_answer_is_given_as_often_as_asked_and_instead_of_the_work(
    http: httpx.AsyncClient, sim: Running
) -> None:
    await fail(http, "/v3/connect/*", status=503, body="<h1>away</h1>", headers={"Retry-After": "7"}, count=2)

    answers = [await http.post("/v3/connect/custom", json=ROOM) for _ in range(2)]

    assert [(answer.status_code, answer.text) for answer in answers] == [(503, "<h1>away</h1>")] * 2
    assert answers[0].headers["retry-after"] == "7"
    assert await rooms(sim) == []
    assert (await http.post("/v3/connect/custom", json=ROOM)).status_code == 201


async def test_a_fault_without_a_body_answers_as_nylas_would(http: httpx.AsyncClient) -> None:
    await fail(http, "/v3/grants*", status=429)

    answer = await http.get("/v3/grants/any")

    assert answer.json()["error"]["type"] == "nylas_rate_limit_exceeded"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_a_fault_strikes_only_its_method_and_path_and_counts_down(http: httpx.AsyncClient) -> None:
    await fail(http, "/v3/grants", method="delete", status=500)
    await fail(http, "/v3/grants*", method="GET", status=401, count=2)

    assert (await http.get("/v3/grants")).status_code == 401
    assert (await http.get("/v3/webhooks")).status_code == 200
    left = (await http.get("/_sim/faults")).json()["faults"]
    assert [(fault["method"], fault["count"]) for fault in left] == [("delete", 1), ("GET", 1)]

    await http.delete("/_sim/faults")
    assert (await http.get("/v3/grants")).status_code == 200


async def test_even_a_path_that_is_not_simulated_can_fail(http: httpx.AsyncClient) -> None:
    await fail(http, "/v3/calendars", status=200, body={"data": []})

    assert (await http.get("/v3/calendars")).json() == {"data": []}
    assert (await http.get("/v3/calendars")).status_code == 404


async def test_a_delay_alone_is_only_slow(http: httpx.AsyncClient) -> None:
    await fail(http, "/v3/grants", delay_ms=80)

    began = time.monotonic()
    answer = await http.get("/v3/grants")

    assert answer.status_code == 200
    assert time.monotonic() - began >= 0.08


@pytest.mark.parametrize(("mode", "done"), [("drop", []), ("after_effect_drop", ["room"])])
async def test_a_dropped_call_has_its_effect_or_not(
    http: httpx.AsyncClient, sim: Running, mode: str, done: list[str]
) -> None:
    await fail(http, "/v3/connect/custom", mode=mode)

    with pytest.raises(httpx.TransportError):
        await http.post("/v3/connect/custom", json=ROOM)

    assert await rooms(sim) == done
    assert (await http.get("/_sim/calls")).json()["statuses"] == {"dropped": 1}


async def test_half_an_answer_is_no_answer_but_the_work_is_done(http: httpx.AsyncClient, sim: Running) -> None:
    await fail(http, "/v3/connect/custom", mode="half_close")

    with pytest.raises(httpx.RemoteProtocolError):
        await http.post("/v3/connect/custom", json=ROOM)

    assert await rooms(sim) == ["room"]


async def test_a_slow_drip_outlasts_every_timeout_between_bytes(http: httpx.AsyncClient) -> None:
    await fail(http, "/v3/grants", mode="slow_drip", body="{}", status=200)

    began = time.monotonic()
    answer = await http.get("/v3/grants", timeout=0.9)

    assert answer.text == "{}"
    assert time.monotonic() - began >= 0.5


async def test_a_hang_after_the_effect_leaves_the_caller_in_doubt(http: httpx.AsyncClient, sim: Running) -> None:
    await fail(http, "/v3/connect/custom", mode="hang_after_effect", delay_ms=60_000)

    with pytest.raises(httpx.ReadTimeout):
        await http.post("/v3/connect/custom", json=ROOM, timeout=0.1)

    assert await rooms(sim) == ["room"]
    began = time.monotonic()
    await sim.stop()  # and the one that hangs does not hold up the end
    assert time.monotonic() - began < 1


async def bytes_of(sim: Running, path: str = "/v3/grants") -> bytes:
    """Ask, and return every byte that comes until the other side hangs up."""
    reader, writer = await asyncio.open_connection(sim.host, sim.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer key\r\n\r\n".encode())
    async with asyncio.timeout(4):
        got = await reader.read()
    writer.close()
    return got


async def test_json_can_be_garbage_in_a_whole_answer(http: httpx.AsyncClient) -> None:
    await fail(http, "/v3/grants", mode="garbage_json")

    answer = await http.get("/v3/grants")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()


async def test_a_proxy_can_answer_with_its_page_after_the_effect(http: httpx.AsyncClient, sim: Running) -> None:
    await fail(http, "/v3/connect/custom", mode="html")

    answer = await http.post("/v3/connect/custom", json=ROOM)

    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert await rooms(sim) == ["room"]


async def test_a_gzip_can_be_cut_off(http: httpx.AsyncClient) -> None:
    await fail(http, "/v3/grants", mode="truncated_gzip", status=200, body=["x" * 1000] * 10)

    answer = await http.get("/v3/grants")

    assert answer.headers["content-encoding"] == "gzip"
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()


@pytest.mark.parametrize("mode", ["reset", "long_length", "garbage_chunks", "huge_header", "raw"])
async def test_an_answer_can_be_spoilt_so_that_no_client_takes_it(http: httpx.AsyncClient, mode: str) -> None:
    await fail(http, "/v3/grants", mode=mode)

    with pytest.raises(httpx.TransportError):
        await http.get("/v3/grants")

    assert (await http.get("/v3/grants")).status_code == 200
    assert (await http.get("/_sim/calls")).json()["statuses"] == {"dropped": 1, "200": 1}


async def test_a_length_can_be_too_short(http: httpx.AsyncClient, sim: Running) -> None:
    await fail(http, "/v3/grants", mode="short_length", status=200, body={"data": []})

    head, _, body = (await bytes_of(sim)).partition(b"\r\n\r\n")

    assert b"Content-Length: 6" in head
    assert body == b'{"data": []}'


async def test_noise_can_come_before_an_answer_that_is_good(http: httpx.AsyncClient, sim: Running) -> None:
    await fail(http, "/v3/grants", mode="informational", count=2)

    assert [line[:12] for line in (await bytes_of(sim)).split(b"\r\n") if line.startswith(b"HTTP/")] == [
        b"HTTP/1.1 100",
        b"HTTP/1.1 102",
        b"HTTP/1.1 103",
        b"HTTP/1.1 200",
    ]
    assert (await http.get("/v3/grants")).json()["data"] == []


async def test_a_header_need_not_be_text(http: httpx.AsyncClient) -> None:
    await fail(http, "/v3/grants", mode="odd_header")

    answer = await http.get("/v3/grants")

    assert dict(answer.headers.raw)[b"X-Odd"] == b"caf\xe9 \xff\xfe"
    assert answer.json()["data"] == []


async def test_any_bytes_can_be_the_body_or_the_whole_answer(http: httpx.AsyncClient, sim: Running) -> None:
    odd = base64.b64encode(b"\x00\xff\xfe").decode()
    await fail(http, "/v3/grants", body_base64=odd, headers={"Content-Type": "application/json"})
    await fail(http, "/v3/webhooks", body_base64=odd, mode="raw")

    answer = await http.get("/v3/grants")

    assert (answer.content, answer.headers["content-type"]) == (b"\x00\xff\xfe", "application/json")
    assert await bytes_of(sim, "/v3/webhooks") == b"\x00\xff\xfe"


async def test_what_cannot_be_a_fault_is_refused(http: httpx.AsyncClient) -> None:
    for wrong in (
        *(
            {"mode": "explode"},
            {"count": "many"},
            {"count": 0},
            {"status": "500"},
            {"status": 99},
            {"body_base64": "%"},
        ),
        {"status": 200, "headers": {"X": "a\r\nb"}},
    ):
        assert (await http.post("/_sim/faults", json=wrong)).status_code == 400


async def test_the_log_knows_how_many_calls_were_under_way_at_once(http: httpx.AsyncClient) -> None:
    [grant] = (await http.post("/_sim/seed", json={"grants": 1})).json()["grants"]
    await fail(http, "*", delay_ms=100, count=5)

    await asyncio.gather(*(http.get(f"/v3/grants/{grant}") for _ in range(5)))

    calls = (await http.get("/_sim/calls", params={"detail": 1})).json()
    assert (calls["total"], calls["max_in_flight"], calls["in_flight"]) == (5, 5, 0)
    assert calls["by_path"] == {"GET /v3/grants/{id}": 5}
    assert calls["by_grant"][grant] == {"GET /v3/grants/{id}": 5}
    assert calls["statuses"] == {"200": 5}
    assert sum(calls["per_second"].values()) == 5
    assert [(call["method"], call["path"], call["status"]) for call in calls["calls"]] == [
        ("GET", f"/v3/grants/{grant}", 200)
    ] * 5
    assert all(call["answered"] - call["arrived"] >= 0.09 for call in calls["calls"])


async def test_custom_auth_counts_for_the_address_and_the_grant_even_when_it_fails(
    http: httpx.AsyncClient,
) -> None:
    [grant] = (await http.post("/_sim/seed", json={"grants": 1})).json()["grants"]
    await fail(http, "/v3/connect/custom", status=500)
    settings = {"email_address": "user000001@example.com", "credential_id": "c"}

    for _ in range(2):
        await http.post("/v3/connect/custom", json={"provider": "google", "settings": settings})

    by_grant = (await http.get("/_sim/calls")).json()["by_grant"]
    assert by_grant[grant] == by_grant["user000001@example.com"] == {"POST /v3/connect/custom": 2}
    await http.delete("/_sim/calls")
    assert (await http.get("/_sim/calls")).json()["total"] == 0


async def test_latency_is_the_least_an_answer_takes() -> None:
    sim = await start(latency_ms=60)
    try:
        async with httpx.AsyncClient(base_url=sim.url) as http:
            began = time.monotonic()
            await http.get("/v3/grants")
            assert time.monotonic() - began >= 0.06
            assert (await http.get("/healthz")).json() == {"status": "ok"}
    finally:
        await sim.stop()


def test_the_program_says_where_it_listens_and_ends_on_sigterm() -> None:
    command = [sys.executable, "-m", "simulator", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        line = program.stderr.readline()
        url = line.removeprefix("simulator listens on ").strip()
        assert httpx.get(f"{url}/healthz").status_code == 200
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=2) == 0
