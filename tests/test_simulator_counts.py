"""What the simulator counts beside the calls: strikes of faults, how codes ended, and renewals that were done."""

import time

import httpx
import pytest

from tests.simulated import http, sim

__all__ = ["http", "sim"]

ROOM = {"provider": "virtual-calendar", "settings": {"email": "room"}}


async def test_strikes_are_counted_by_name_or_mode_and_known_when_the_fault_is_over(http: httpx.AsyncClient) -> None:
    await http.post("/_sim/faults", json={"path": "/v3/grants", "status": 503, "count": 1, "name": "first"})
    await http.post("/_sim/faults", json={"path": "/v3/grants", "status": 500})
    for _ in range(3):
        await http.get("/v3/grants")
    await http.delete("/_sim/faults")

    assert (await http.get("/_sim/faults")).json() == {"faults": [], "struck": {"first": 1, "answer": 2}}


async def test_of_each_code_it_is_known_what_its_bearer_was_answered(http: httpx.AsyncClient) -> None:
    asked = {"grant_type": "authorization_code", "code": "unknown", "redirect_uri": "http://127.0.0.1/"}
    await http.post("/_sim/faults", json={"path": "/v3/connect/token", "mode": "drop", "count": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post("/v3/connect/token", json=asked)
    await http.post("/v3/connect/token", json=asked)

    assert (await http.get("/_sim/calls")).json()["code_ends"] == {"unknown": [None, 400]}


async def test_renewals_count_what_was_done_whatever_became_of_the_answer(http: httpx.AsyncClient) -> None:
    await http.post("/_sim/faults", json={"path": "/v3/connect/custom", "status": 503, "count": 1})
    await http.post("/_sim/faults", json={"path": "/v3/connect/custom", "mode": "after_effect_drop", "count": 1})
    await http.post("/v3/connect/custom", json=ROOM)
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post("/v3/connect/custom", json=ROOM)

    assert (await http.get("/_sim/calls")).json()["renewals"] == {"room": 1}


async def test_of_each_renewal_it_is_known_when_it_came_and_when_it_was_done(http: httpx.AsyncClient) -> None:
    began = time.time()
    await http.post("/_sim/faults", json={"path": "/v3/connect/custom", "delay_ms": 200, "count": 1})
    await http.post("/v3/connect/custom", json=ROOM)

    [(came, done)] = (await http.get("/_sim/calls")).json()["renewed_at"]["room"]
    assert began <= came <= done - 0.2
