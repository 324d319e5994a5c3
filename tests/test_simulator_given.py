"""What the control makes of a body that can't be meant: a refusal that says what is wrong, and no 500."""

import httpx
import pytest

from simulator import Running


@pytest.mark.parametrize(
    ("path", "body", "wrong"),
    [
        ("delivery", {"retry_waits_ms": ["a"]}, "retry_waits_ms"),
        ("delivery", {"retry_waits_ms": [-5]}, "retry_waits_ms"),
        ("delivery", {"time_scale": True}, "time_scale"),
        ("delivery", {"delay_ms": -1}, "delay_ms"),
        ("events", {"type": "grant.expired", "grant_id": "g", "object": ["x"]}, "object"),
        ("events", {"type": "grant.expired", "grant_id": "g", "object": "x"}, "object"),
        ("seed", {"grants": True}, "grants"),
        ("seed", {"grants": 0}, "grants"),
        ("seed", {"grants": 1, "credential_id": [1]}, "credential_id"),
        ("seed", {"grants": 1, "workspace_id": {}}, "workspace_id"),
        ("clock", {"forward_s": -1}, "forward_s"),
        ("faults", {"delay_ms": -5}, "delay_ms"),
        ("faults", {"count": 0}, "count"),
        ("faults", {"headers": {"a": "b"}}, "headers"),
        ("faults", {"body_base64": 7}, "body_base64"),
        ("limits", {"per_second": True}, "per_second"),
        ("webhooks", {"url": "https://a.example.com/", "trigger_types": [1]}, "trigger_types"),
        ("webhooks", {"url": "https://a.example.com/", "secret": 7}, "secret"),
    ],
)
async def test_what_can_not_be_meant_is_refused_by_name(
    sim: Running, path: str, body: dict[str, object], wrong: str
) -> None:
    async with httpx.AsyncClient(base_url=sim.url) as http:
        answer = await http.post(f"/_sim/{path}", json=body)
    assert answer.status_code == 400, answer.text
    assert wrong in answer.json()["error"]["message"]
