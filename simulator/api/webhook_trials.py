"""Trying webhooks out: example payloads, test events, and the addresses events come from."""

from simulator.answers import Answer, bad_request, data
from simulator.api.webhooks import check_url
from simulator.asked import Asked
from simulator.events import Event
from simulator.hooks import packed
from simulator.state import State
from simulator.triggers import TRIED, example

# The same for everybody: a test event proves that it arrives, not who sent it.
TEST_KEY = "mock-webhook-secret"
ADDRESSES = ["127.0.0.1", "::1"]


async def mock_payload(state: State, asked: Asked) -> Answer:
    """Return an example of what this type tells, and send nothing.

    Nylas' OpenAPI also requires a `webhook_url` that nothing uses, and no SDK sends one: we don't insist.
    """
    return data(_example(state, asked).envelope(1))


async def send_test_event(state: State, asked: Asked) -> Answer:
    """Send an example to any URL, once, and say whether it was taken: in the body, not by the status."""
    told, url = _example(state, asked), check_url(asked.body().get("webhook_url"))
    status, _ = await state.deliveries.courier.post(url, *packed(told.raw(1), TEST_KEY))
    return data("success" if status == 200 else "failed")


async def ip_addresses(state: State, asked: Asked) -> Answer:
    """Return where events come from; from this machine, as nobody is to open a firewall for a simulator."""
    return data({"ip_addresses": ADDRESSES, "updated_at": state.began})


def _example(state: State, asked: Asked) -> Event:
    kind = asked.body().get("trigger_type")
    if not isinstance(kind, str) or kind not in TRIED:
        raise bad_request("trigger_type is required, and must be one that can be tried")
    return state.event_about(kind, example(kind), provider="google")
