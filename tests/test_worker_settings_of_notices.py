"""The settings of notices, mail and reminders: what can't work is refused at the start, in words."""

from datetime import time, timedelta
from pathlib import Path

import pytest

from lifecycle.reminding import QuietHours
from tests.front import set_up, told
from worker.policy import policy_of
from worker.settings import BadSettings, read

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
URL = "https://product.example.com/evergrant"
MAIL = "smtps://user:hunter2hunter2@mail.example.com?from=a@b.c"


@pytest.fixture(autouse=True)
def _enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that is right."""
    set_up(monkeypatch, told(tmp_path))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"NOTICE_URL": URL}, "EVERGRANT_NOTICE_SECRET is missing"),
        (
            {"NOTICE_URL": "http://product.example.com", "NOTICE_SECRET": SECRET},
            "EVERGRANT_NOTICE_URL: it must be https",
        ),
        ({"NOTICE_URL": "product.example.com", "NOTICE_SECRET": SECRET}, "EVERGRANT_NOTICE_URL: it must be a URL such"),
        ({"NOTICE_SECRET": "whsec_aHVudGVyMg=="}, "EVERGRANT_NOTICE_SECRET: a secret is whsec_ and 24 to 64 random"),
        ({"NOTICE_SECRET": f"{SECRET},hunter2"}, "EVERGRANT_NOTICE_SECRET: a secret is whsec_ and 24 to 64 random"),
        ({"NOTICE_ALLOW_PRIVATE": "perhaps"}, "EVERGRANT_NOTICE_ALLOW_PRIVATE"),
        ({"SMTP_URL": "https://user:hunter2@mail.example.com"}, "EVERGRANT_SMTP_URL: must be a URL such as smtps"),
        ({"OPERATOR_EMAIL": "ops@example.com"}, "EVERGRANT_SMTP_URL is missing"),
        ({"SMTP_URL": MAIL, "OPERATOR_EMAIL": "ops"}, "EVERGRANT_OPERATOR_EMAIL: must be an email address"),
        ({"REMINDER_DAYS": "0,3,1"}, "EVERGRANT_REMINDER_DAYS: must be days that grow"),
        ({"REMINDER_DAYS": "-1,3"}, "EVERGRANT_REMINDER_DAYS: must be days that grow"),
        ({"REMINDER_DAYS": "0,x"}, "EVERGRANT_REMINDER_DAYS: must be days that grow"),
        ({"QUIET_HOURS": "22-7"}, "EVERGRANT_QUIET_HOURS: must be two times of day"),
        ({"QUIET_HOURS": "22:00-22:00"}, "EVERGRANT_QUIET_HOURS: must be two times of day"),
        ({"TIME_ZONE": "Mars/Olympus"}, "EVERGRANT_TIME_ZONE: must be the name of a time zone"),
        ({"GRACE_SECONDS": "-1"}, "EVERGRANT_GRACE_SECONDS"),
    ],
)
def test_what_can_not_work_is_refused_without_a_secret_in_the_message(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    set_up(monkeypatch, given)
    with pytest.raises(BadSettings) as refused:
        read()
    assert says in str(refused.value)
    assert str(refused.value).count("\n  - ") == 1
    assert "hunter2" not in str(refused.value)


def test_the_rules_follow_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "GRACE_SECONDS": "30",
        "REMINDER_DAYS": "0, 2,5",
        "QUIET_HOURS": "22:00-07:30",
        "TIME_ZONE": "Europe/Berlin",
    }
    set_up(monkeypatch, given)
    policy = policy_of(read())
    assert (policy.grace, tuple(policy.reminder_days)) == (timedelta(seconds=30), (0, 2, 5))
    assert (policy.quiet, policy.zone) == (QuietHours(time(22), time(7, 30)), "Europe/Berlin")


def test_without_settings_there_is_no_endpoint_no_mail_and_no_quiet_hour() -> None:
    settings, policy = read(), policy_of(read())
    assert (settings.notice_url, settings.mail_server, policy.quiet) == ("", None, None)
    assert (policy.grace, tuple(policy.reminder_days)) == (timedelta(minutes=2), (0, 1, 3, 7, 14))


def test_what_is_secret_is_not_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(
        monkeypatch, {"NOTICE_URL": URL, "NOTICE_SECRET": SECRET, "SMTP_URL": MAIL, "OPERATOR_EMAIL": "ops@a.example"}
    )
    shown = repr(read())
    assert "hunter2" not in shown
    assert SECRET not in shown
    assert "ops@a.example" not in shown
