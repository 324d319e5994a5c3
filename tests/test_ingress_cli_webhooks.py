"""`evergrant webhooks`: made, tried and given new secrets, each of which is told once and nowhere else."""

import json
from collections.abc import AsyncIterator

import pytest

from nylas_api import GRANT_TRIGGERS
from simulator import Running
from tests.in_process import Command
from tests.installed import evergrant, migrated
from tests.listening import Product, listening
from tests.stories import fails

__all__ = ["evergrant", "migrated"]


@pytest.fixture
async def front() -> AsyncIterator[Product]:
    """What listens at the URL of a webhook."""
    async with listening() as product:
        yield product


async def made(evergrant: Command, front: Product) -> str:
    """Make a webhook; return its id."""
    said = await evergrant("webhooks", "create", front.url, "--json")
    assert isinstance(said.data["id"], str)
    return str(said.data["id"])


async def test_a_webhook_is_made_for_all_about_grants_and_its_secret_is_all_of_stdout(
    evergrant: Command, sim: Running, front: Product
) -> None:
    said = await evergrant("webhooks", "create", front.url, "--email", "a@b.example", "--description", "Ours")
    [hook] = sim.state.deliveries.hooks.values()
    assert (said.code, said.out) == (0, f"{hook.secret}\n")
    assert hook.secret not in said.err
    assert "Set EVERGRANT_NYLAS_WEBHOOK_SECRET to the secret on stdout" in said.err
    assert (tuple(hook.trigger_types), hook.notify, hook.description) == (GRANT_TRIGGERS, ["a@b.example"], "Ours")
    assert front.challenges == 1

    again = await evergrant("webhooks", "create", front.url)
    assert (again.code, again.out) == (1, "")
    assert f"evergrant webhooks rotate-secret {hook.id}" in again.err
    assert front.challenges == 1


async def test_as_json_the_secret_stands_beside_the_webhook(evergrant: Command, sim: Running, front: Product) -> None:
    options = ("--trigger", "grant.expired", "--trigger", "grant.deleted", "--compressed", "--json")
    said = await evergrant("webhooks", "create", front.url, *options)
    [hook] = sim.state.deliveries.hooks.values()
    assert (said.data["id"], said.data["webhook_secret"]) == (hook.id, hook.secret)
    assert said.data["trigger_types"] == ["grant.expired", "grant.deleted"]
    assert hook.compressed
    listed = await evergrant("webhooks", "list", "--json")
    assert "webhook_secret" not in listed.data[0]
    assert (listed.data[0]["id"], listed.data[0]["status"], listed.data[0]["is_ours"]) == (hook.id, "active", False)


async def test_the_default_is_our_own_url_and_what_it_must_answer_is_said(evergrant: Command, sim: Running) -> None:
    """Nothing listens there: Nylas' challenge gets no answer."""
    said = await evergrant("webhooks", "create", PUBLIC_URL="http://127.0.0.1:9")
    assert (said.code, said.out) == (1, "")
    assert "(70005)" in said.err
    assert "GET http://127.0.0.1:9/webhooks/nylas?challenge=… must answer 200 and just that value" in said.err
    assert sim.state.deliveries.hooks == {}


async def test_a_rotated_secret_is_told_once_with_what_to_do_with_the_old_one(
    evergrant: Command, sim: Running, front: Product
) -> None:
    hook_id = await made(evergrant, front)
    hook = sim.state.deliveries.hooks[hook_id]
    asked = await evergrant("webhooks", "rotate-secret", hook_id)
    assert (asked.code, asked.out) == (2, "")
    old = hook.secret
    said = await evergrant("webhooks", "rotate-secret", hook_id, "--yes")
    assert (said.code, hook.secret != old) == (0, True), said.err
    assert said.out == f"{hook.secret}\n"
    assert "new,old" in said.err
    assert "after 30 minutes" in said.err
    assert hook.secret not in said.err


async def test_without_an_id_it_is_the_webhook_that_points_to_us(
    evergrant: Command, sim: Running, front: Product
) -> None:
    public = front.url.removesuffix("/hook")
    none = await evergrant("webhooks", "rotate-secret", "--yes", PUBLIC_URL=public)
    assert (none.code, none.out) == (1, "")
    assert f"No webhook points to {public}/webhooks/nylas. Make one: evergrant webhooks create" in none.err

    hook = sim.state.deliveries.hooks[await made(evergrant, front)]
    hook.url = f"{public}/webhooks/nylas"
    said = await evergrant("webhooks", "update", "--trigger", "grant.expired", "--json", PUBLIC_URL=public)
    assert (said.data["id"], said.data["is_ours"], hook.trigger_types) == (hook.id, True, ["grant.expired"])


async def test_a_webhook_that_was_given_up_is_made_active_again(
    evergrant: Command, sim: Running, front: Product
) -> None:
    hook_id = await made(evergrant, front)
    hook = sim.state.deliveries.hooks[hook_id]
    hook.become("failed", sim.state.now())
    front.echo = False
    refused = await evergrant("webhooks", "activate", hook_id)
    assert (refused.code, hook.status) == (1, "failed")
    assert f"GET {front.url}?challenge=…" in refused.err
    front.echo = True
    said = await evergrant("webhooks", "activate", hook_id, "--json")
    assert (said.data["status"], hook.status) == ("active", "active")
    assert "evergrant sync finds it" in said.err


async def test_a_webhook_is_deleted(evergrant: Command, sim: Running, front: Product) -> None:
    hook_id = await made(evergrant, front)
    asked = await evergrant("webhooks", "delete", hook_id)
    assert (asked.code, hook_id in sim.state.deliveries.hooks) == (2, True)
    said = await evergrant("webhooks", "delete", hook_id, "--yes", "--json")
    assert said.data == {"id": hook_id, "webhook_url": front.url, "deleted": True}
    gone = await evergrant("webhooks", "delete", hook_id, "--yes")
    assert (gone.code, "evergrant webhooks list" in gone.err) == (1, True)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("update X", "There is nothing to change"),
        ("delete ..", "that can't be an id"),
        ("create --trigger=", "--trigger: String should have at least 1 character"),
    ],
)
async def test_what_can_t_be_right_is_refused(evergrant: Command, sim: Running, command: str, why: str) -> None:
    said = await evergrant("webhooks", *command.split())
    assert (said.code, said.out) == (2, "")
    assert why in said.err
    assert sim.state.calls.total == 0


async def test_a_trial_asks_nylas_and_the_url_and_sends_on_demand(
    evergrant: Command, sim: Running, front: Product
) -> None:
    await made(evergrant, front)
    said = await evergrant("webhooks", "test", front.url, "--send", "--json")
    assert [(one["check"], one["ok"]) for one in said.data] == [
        ("webhook", True),
        ("challenge", True),
        ("test event", True),
    ]
    assert front.kinds == ["grant.expired"]

    front.always, front.echo = 500, False
    bad = await evergrant("webhooks", "test", front.url, "--send")
    assert bad.code == 1
    assert "✗ challenge" in bad.out
    assert "✗ test event" in bad.out
    await fails(sim, "/v3/webhooks/send-test-event", status=400)
    refused = await evergrant("webhooks", "test", front.url, "--send")
    assert (refused.code, "Nylas answered 400" in refused.err) == (1, True)


async def test_our_own_front_refuses_test_events_and_the_trial_says_why(
    evergrant: Command, sim: Running, front: Product
) -> None:
    hook = sim.state.deliveries.hooks[await made(evergrant, front)]
    public = front.url.removesuffix("/hook")
    hook.url = f"{public}/webhooks/nylas"  # where this front answers 404 to all
    said = await evergrant("webhooks", "test", "--send", "--json", PUBLIC_URL=public)
    assert said.code == 1
    [webhook, challenge, event] = json.loads(said.out)
    assert (webhook["ok"], challenge["ok"], event["ok"]) == (True, False, None)
    assert "answered with 404" in challenge["detail"]
    assert "mock-webhook-secret" in event["detail"]
