"""The doctor's checks, each a small function: what was said, and what it makes of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingress.doctor import database, examination, nylas, redis
from ingress.doctor.findings import Finding
from ingress.doctor.webhook_trial import test_event as judge_test_event
from nylas_api import GRANT_TRIGGERS, Connector, Credential, NylasApplication, RedirectUri, Webhook
from worker.settings import Settings

US, EU = nylas.REGIONS["us"], nylas.REGIONS["eu"]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OURS = "https://grants.example.com/oauth/callback"
HOOK = "https://grants.example.com/webhooks/nylas"


def is_so(finding: Finding, ok: bool | None, *words: str) -> None:
    """What is well has nothing to be done about it, and all else has."""
    assert finding.ok is ok
    assert (finding.fix is None) is (ok is True)
    for word in words:
        assert word in f"{finding.detail} {finding.fix}"


def settings(**more: Any) -> Settings:
    """Settings that are right."""
    return Settings.model_validate(
        {"nylas_api_key": "k", "nylas_client_id": "c", "public_url": "https://grants.example.com", **more}
    )


@pytest.mark.parametrize(
    ("public_url", "ok"),
    [("https://a.example", True), ("http://localhost:8000", True), ("http://[::1]:8000", True), ("http://a.b", None)],
)
def test_plain_http_is_for_this_machine_only(public_url: str, ok: bool | None) -> None:
    is_so(examination.public_url(settings(public_url=public_url)), ok, public_url)


@pytest.mark.parametrize(
    ("region", "uri", "ok"),
    [
        ("us", US, True),
        ("eu", EU, True),
        ("eu", US, False),
        ("US", EU, False),
        (None, US, True),
        ("mars", EU, True),
        ("eu", "http://127.0.0.1:8090", True),
    ],
)
def test_the_region_of_the_key_is_the_one_that_we_ask(region: str | None, uri: str, ok: bool) -> None:
    is_so(nylas.region(NylasApplication(region=region), uri), ok, EU if (region, uri) == ("eu", US) else "")


@pytest.mark.parametrize(("theirs", "ok"), [("app", True), ("other", False), (None, None)])
def test_key_and_client_id_are_of_one_application(theirs: str | None, ok: bool | None) -> None:
    is_so(nylas.client_id(NylasApplication(application_id=theirs), "app"), ok, theirs if ok is False else "")


@pytest.mark.parametrize(
    ("off", "ok", "word"),
    [
        (0, True, "within 1 s"),
        (-29, True, "within 29 s"),
        (31, False, "31 s ahead of"),
        (-3600, False, "3600 s behind"),
    ],
)
def test_the_clock_may_differ_by_half_a_minute(off: int, ok: bool, word: str) -> None:
    is_so(nylas.clock(NOW, NOW + timedelta(seconds=off)), ok, word)


def test_without_a_date_there_is_nothing_to_compare_the_clock_with() -> None:
    is_so(nylas.clock(None, NOW), None, "NTP")


@pytest.mark.parametrize(
    ("registered", "ok", "words"),
    [
        ([OURS], True, []),
        (["https://x.example", OURS], True, []),
        ([], False, ["evergrant redirect-uris add"]),
        ([OURS + "/"], False, [OURS + "/", "byte for byte"]),
        ([OURS.upper()], False, ["byte for byte"]),
    ],
)
def test_the_callback_is_registered_byte_for_byte(registered: list[str], ok: bool, words: list[str]) -> None:
    uris = [RedirectUri(id=str(number), url=url) for number, url in enumerate(registered)]
    is_so(nylas.callback(uris, OURS), ok, *words)
    gone = [RedirectUri(id=uri.id, url=uri.url, deleted_at=NOW) for uri in uris]
    is_so(nylas.callback(gone, OURS), False)


@pytest.mark.parametrize(
    ("url", "status", "triggers", "ok", "words"),
    [
        (HOOK, "active", GRANT_TRIGGERS, True, ["w1 is active"]),
        (HOOK, None, (*GRANT_TRIGGERS, "message.created"), True, []),
        (HOOK + "/", "active", GRANT_TRIGGERS, False, ["none points to", "evergrant webhooks create"]),
        (HOOK, "pause", GRANT_TRIGGERS, False, ["evergrant webhooks activate w1"]),
        (HOOK, "failing", GRANT_TRIGGERS, False, ["w1 is failing"]),
        (HOOK, "failed", GRANT_TRIGGERS, False, ["w1 is failed"]),
        (HOOK, "active", ("grant.created", "message.created"), False, ["grant.expired", "--trigger message.created"]),
        (HOOK, "active", GRANT_TRIGGERS[:4], None, ["grant.imap_sync_completed"]),
    ],
)
def test_a_webhook_points_to_us_is_active_and_tells_all_about_grants(
    url: str, status: str | None, triggers: tuple[str, ...], ok: bool | None, words: list[str]
) -> None:
    is_so(nylas.webhook([Webhook(id="w1", webhook_url=url, status=status, trigger_types=triggers)], HOOK), ok, *words)


def test_of_two_webhooks_that_point_to_us_one_that_is_active_is_enough() -> None:
    hooks = [Webhook(id=id, webhook_url=HOOK, status=id, trigger_types=GRANT_TRIGGERS) for id in ("failed", "active")]
    is_so(nylas.webhook(hooks, HOOK), True)


def test_each_provider_that_we_hold_grants_of_has_its_connector() -> None:
    found = nylas.connectors([Connector(provider="google"), Connector(provider="imap")], {"google": 2, "zoom": 1})
    assert [(finding.check, finding.ok) for finding in found] == [
        ("connector google", True),
        ("connector imap", True),
        ("connector zoom", False),
    ]
    is_so(found[0], True, "2 grants")
    is_so(found[2], False, "1 grant", "evergrant connectors create zoom")
    [none] = nylas.connectors([], None)
    is_so(none, False, "nobody can sign in")


@pytest.mark.parametrize(
    ("provider", "days", "ok", "words"),
    [
        ("google", 400, True, ["400 days old"]),
        ("google", 1, True, ["1 day old"]),
        ("microsoft", 149, True, []),
        ("microsoft", 150, None, ["150 days old", "a guess"]),
        ("microsoft", 181, None, ["it may have ended", "a guess", "credentials rotate microsoft c1 --check"]),
        ("microsoft", None, True, ["an age that Nylas does not tell"]),
    ],
)
def test_microsofts_secrets_are_told_of_before_they_end_as_a_guess(
    provider: str, days: int | None, ok: bool | None, words: list[str]
) -> None:
    changed = None if days is None else NOW - timedelta(days=days)
    one = Credential(id="c1", created_at=changed and changed - timedelta(days=500), updated_at=changed)
    [finding] = nylas.credentials(Connector(provider=provider, active_credential_id="c0"), [one], now=NOW)
    is_so(finding, ok, *words)


def test_the_connectors_own_secret_is_replaced_by_another_command() -> None:
    old = Credential(id="c1", name="default", updated_at=NOW - timedelta(days=200))
    [finding] = nylas.credentials(Connector(provider="microsoft", active_credential_id="c1"), [old], now=NOW)
    is_so(finding, None, "evergrant connectors update microsoft --client-id")
    [none] = nylas.credentials(Connector(provider="zoom"), [], now=NOW)
    is_so(none, True, "none")


@pytest.mark.parametrize(
    ("text", "ok"),
    [("6.2.0", True), ("7.2.4", True), ("10.0", True), ("6.0.16", False), ("5.9.9", False), ("", False), ("x", False)],
)
def test_redis_is_new_enough(text: str, ok: bool) -> None:
    is_so(redis.version(text), ok)


@pytest.mark.parametrize(
    ("policy", "ok"), [("noeviction", True), ("allkeys-lru", False), ("volatile-ttl", False), (None, None)]
)
def test_redis_must_not_evict(policy: str | None, ok: bool | None) -> None:
    is_so(redis.eviction(policy), ok, policy or "does not tell")


@pytest.mark.parametrize(
    ("told", "save", "ok", "word"),
    [
        ({"aof_enabled": 1}, "", True, "append"),
        ({"aof_enabled": 0}, "", None, "appendonly yes"),
        ({"aof_enabled": 0}, "3600 1 300 100", True, "snapshots"),
        ({"aof_enabled": 0}, None, True, "does not tell"),
        ({}, None, True, "does not tell"),
    ],
)
def test_a_redis_that_keeps_nothing_is_told_of_and_never_wrong(
    told: dict[str, Any], save: str | None, ok: bool | None, word: str
) -> None:
    is_so(redis.persistence(told, save), ok, word)


@pytest.mark.parametrize(
    ("waited", "ok", "word"),
    [(None, True, "no row"), (0, True, "0 s"), (59, True, "59 s"), (60, False, "60 s"), (7260, False, "2 h")],
)
def test_a_row_that_waits_for_a_minute_means_that_no_worker_works(waited: int | None, ok: bool, word: str) -> None:
    oldest = None if waited is None else NOW - timedelta(seconds=waited)
    is_so(database.work(oldest, now=NOW), ok, word, "" if ok else "evergrant worker")


@pytest.mark.parametrize(
    ("secret", "is_held", "ok", "word"),
    [
        ("s", False, True, "it is set"),
        ("new,old", True, None, "2 are set"),
        (None, True, True, "held in the database"),
        (None, False, False, "evergrant webhooks create"),
    ],
)
def test_without_a_secret_no_webhook_is_taken(secret: str | None, is_held: bool, ok: bool | None, word: str) -> None:
    is_so(database.webhook_secret(settings(nylas_webhook_secret=secret), is_held=is_held), ok, word)


@pytest.mark.parametrize(
    ("taken", "is_ours", "ok", "word"),
    [
        (True, False, True, "it was taken"),
        (None, False, True, "Nylas sent it"),
        (False, False, False, "not answered with 200"),
        (False, True, None, "webhook.bad_signature"),
        (True, True, False, "take mock-webhook-secret out"),
    ],
)
def test_what_a_test_event_shows(taken: bool | None, is_ours: bool, ok: bool | None, word: str) -> None:
    is_so(judge_test_event(taken, is_ours=is_ours), ok, word)
