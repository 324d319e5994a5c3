"""The `/_sim` control of the world: reset, seed, consent, callbacks, credentials, faults, calls."""

from simulator.answers import Answer, Json, bad_request
from simulator.api.custom_auth import WAYS
from simulator.asked import Asked, one_of
from simulator.calls import Calls
from simulator.connectors import PROVIDERS
from simulator.given import text, whole
from simulator.state import State


async def reset(state: State, asked: Asked) -> Answer:
    """Forget everything but the options; from a `seed` on, the same calls give the same ids.

    `connectors` names the providers that have a ready connector: `[]` is a fresh application's none.
    """
    seed = asked.body().get("seed")
    if not isinstance(seed, int | None):
        raise bad_request("seed must be a whole number")
    connectors = asked.body().get("connectors")
    if not isinstance(connectors, list | None):
        raise bad_request("connectors must be a list of providers")
    state.reset(seed, None if connectors is None else [one_of(one, *PROVIDERS) for one in connectors])
    return _said({})


async def forward(state: State, asked: Asked) -> Answer:
    """Let time pass at Nylas, and return what time it is there."""
    state.clock.forward(whole(asked.body(), "forward_s", 0))
    return _said({"now": state.now(), "ahead_s": state.clock.ahead})


async def seed(state: State, asked: Asked) -> Answer:
    """Make many grants at once; no webhook is told."""
    sent = asked.body()
    ids = state.books.seed(
        whole(sent, "grants", 0, least=1),
        provider=one_of(sent.get("provider", "google"), *WAYS),
        status=one_of(sent.get("status", "valid"), "valid", "invalid"),
        domain=text(sent, "email_domain") or "example.com",
        credential=text(sent, "credential_id"),
        workspace=text(sent, "workspace_id"),
        migrated=bool(sent.get("migrated")),
    )
    return _said({"grants": ids})


async def consent(state: State, asked: Asked) -> Answer:
    """Decide how users meet the consent page."""
    state.logins.consent = one_of(asked.body().get("mode"), "auto", "page", "deny")
    return _said({"mode": state.logins.consent})


async def callback_uris(state: State, asked: Asked) -> Answer:
    """Name the only callbacks that are allowed; an empty list allows all."""
    urls = asked.body().get("urls")
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise bad_request("urls must be a list of strings")
    state.application.register_only(urls)
    return _said({"urls": urls})


async def break_credential(state: State, asked: Asked) -> Answer:
    """Let a connector credential fail, as when its client secret ran out.

    With `{"expire_grants": true}` the grants that use it become invalid as well, each with its event.
    """
    state.broken_credentials.add(asked.ref)
    expired = []
    if asked.body().get("expire_grants"):
        expired = [grant for grant in state.books.by_id.values() if grant.credential_id == asked.ref]
    for grant in expired:
        grant.grant_status = "invalid"
        state.tell("grant.expired", grant)
    return _said({"credential_id": asked.ref, "broken": True, "expired": [grant.id for grant in expired]})


async def repair_credential(state: State, asked: Asked) -> Answer:
    """Let it work again."""
    state.broken_credentials.discard(asked.ref)
    return _said({"credential_id": asked.ref, "broken": False})


async def add_fault(state: State, asked: Asked) -> Answer:
    """Let calls fail from now on."""
    return _said(state.faults.add(asked.body()).view())


async def list_faults(state: State, asked: Asked) -> Answer:
    """Return what is left of the faults, and how often each has struck, by its name."""
    return _said({"faults": state.faults.view(), "struck": state.faults.struck})


async def delete_faults(state: State, asked: Asked) -> Answer:
    """Let no more calls fail."""
    state.faults.end()
    return _said({"faults": []})


async def list_calls(state: State, asked: Asked) -> Answer:
    """Return the counts of calls; `?detail=1` adds the calls."""
    return _said(state.calls.view(detail=asked.query.get("detail") == "1"))


async def delete_calls(state: State, asked: Asked) -> Answer:
    """Count anew; calls that are still under way belong to the old count."""
    state.calls = Calls()
    return _said({})


def _said(body: Json) -> Answer:
    return Answer(body, flat=True)
