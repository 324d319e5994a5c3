"""Nylas' own limits at the simulator: calls in any sliding second, detections in a minute, a filter that lags."""

import httpx
import pytest

from simulator import start
from simulator.calls import Calls
from simulator.limiter import Limits, group_of
from tests.simulated import http, sim

__all__ = ["http", "sim"]


async def limit(http: httpx.AsyncClient, **what: int | None) -> None:
    answer = await http.post("/_sim/limits", json=what)
    assert answer.status_code == 200, answer.text


async def statuses(http: httpx.AsyncClient, path: str, times: int) -> list[int]:
    return [(await http.get(path)).status_code for _ in range(times)]


async def forward(http: httpx.AsyncClient, seconds: int) -> None:
    await http.post("/_sim/clock", json={"forward_s": seconds})


async def test_without_a_limit_all_calls_are_taken(http: httpx.AsyncClient) -> None:
    assert await statuses(http, "/v3/grants", 60) == [200] * 60


async def test_each_group_of_the_api_has_a_limit_of_its_own(http: httpx.AsyncClient) -> None:
    await limit(http, per_second=3)

    assert await statuses(http, "/v3/grants", 3) == [200] * 3
    refused = await http.get("/v3/grants/any")
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "nylas_rate_limit_exceeded")
    assert "provider_error" not in refused.json()["error"]
    assert "retry-after" not in refused.headers
    assert await statuses(http, "/v3/webhooks", 4) == [200] * 3 + [429]
    await forward(http, 1)
    assert await statuses(http, "/v3/grants", 1) == [200]

    calls = (await http.get("/_sim/calls")).json()
    assert calls["statuses"] == {"200": 7, "429": 2}
    assert calls["busiest_second"]["webhooks"] == 4
    assert (await http.get("/_sim/limits")).json()["refused"] == {"grants": 1, "webhooks": 1}


async def test_a_wrong_key_is_refused_as_such_and_takes_nobody_s_place() -> None:
    sim = await start(api_key="right", rate=1)
    try:
        async with httpx.AsyncClient(base_url=sim.url) as http:
            assert await statuses(http, "/v3/grants", 3) == [401] * 3
            http.headers["Authorization"] = "Bearer right"
            assert await statuses(http, "/v3/grants", 2) == [200, 429]
    finally:
        await sim.stop()


async def test_a_retry_after_comes_only_on_demand(http: httpx.AsyncClient) -> None:
    await limit(http, per_second=0, retry_after_s=7)

    assert (await http.get("/v3/grants")).headers["retry-after"] == "7"

    await limit(http, per_second=None)
    assert await statuses(http, "/v3/grants", 1) == [200]


@pytest.mark.parametrize("wrong", [{"per_second": "50"}, {"per_second": -1}, {"per_minute": 1}])
async def test_what_cannot_be_a_limit_is_refused(http: httpx.AsyncClient, wrong: dict[str, object]) -> None:
    assert (await http.post("/_sim/limits", json=wrong)).status_code == 400


async def test_a_new_grant_is_unseen_by_the_filter_of_its_provider_for_a_while(http: httpx.AsyncClient) -> None:
    await limit(http, provider_filter_lag_s=70)
    await http.post("/v3/connect/custom", json={"provider": "virtual-calendar", "settings": {"email": "room"}})

    async def found(**query: str) -> int:
        return len((await http.get("/v3/grants", params=query)).json()["data"])

    assert (await found(), await found(provider="virtual-calendar")) == (1, 0)
    await forward(http, 71)
    assert await found(provider="virtual-calendar") == 1


def test_any_second_counts_not_only_the_full_ones() -> None:
    limits = Limits(per_second=2)

    taken = [limits.refusal("grants", now) is None for now in (0.6, 0.9, 1.1, 1.5, 1.6, 1.8, 1.95)]

    assert taken == [True, True, False, False, True, False, True]


def test_detections_are_counted_by_the_minute() -> None:
    limits = Limits(per_second=1)
    limits.set({"detect_per_minute": 20})

    assert all(limits.refusal("detect", second) is None for second in range(20))
    assert limits.refusal("detect", 59.0)
    assert limits.refusal("detect", 60.0) is None


def test_the_busiest_second_is_of_arrivals_that_may_lie_across_two_full_ones() -> None:
    calls = Calls()
    for now in (0.2, 0.7, 0.9, 1.1, 1.6, 5.0):
        calls.arrive("GET", "/v3/grants", "/v3/grants", "grants", (), now=now)

    assert calls.busiest_second == {"grants": 4}


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/v3/applications/redirect-uris", "applications"),
        ("/v3/connect/token", "authentication"),
        ("/v3/connectors/google/creds", "connectors"),
        ("/v3/integrations", "connectors"),
        ("/v3/providers/detect", "detect"),
        ("/v3/grants/me", "grants"),
        ("/v3/webhooks/mock-payload", "webhooks"),
        ("/v3/scheduling", "other"),
    ],
)
def test_a_path_belongs_to_a_group(path: str, group: str) -> None:
    assert group_of(path) == group


def test_the_log_of_calls_stays_small_whatever_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.calls.MOST_GRANTS", 3)
    monkeypatch.setattr("simulator.calls.MOST_PATHS", 2)
    calls = Calls()

    for number in range(5):
        calls.arrive("GET", f"/v3/x/{number}", f"/v3/x/{number}", "other", [f"grant-{number}"])

    assert calls.total == 5
    assert calls.by_path == {"GET /v3/x/0": 1, "GET /v3/x/1": 1, "others": 3}
    assert list(calls.by_grant) == ["grant-0", "grant-1", "grant-2"]
    assert calls.view(detail=False)["not_told_apart"] == 2  # and what is missing is said
