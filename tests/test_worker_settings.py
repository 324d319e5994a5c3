"""The settings: all that is wrong is said at once, and what is secret is never shown."""

import base64
import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.sealing import Keyring
from worker.settings import BadSettings, Settings, read

ROOT = Path(__file__).parent.parent
KEY = base64.b64encode(b"k" * 32).decode()
OTHER_KEY = base64.b64encode(b"o" * 32).decode()
ENOUGH = {
    "EVERGRANT_NYLAS_API_KEY": "nyk_secret",
    "EVERGRANT_NYLAS_CLIENT_ID": "client",
    "EVERGRANT_PUBLIC_URL": "https://evergrant.example.com",
}

# Makes the key of the folder that it is told, at the moment that it is told, and says in hex which it got.
MAKES_A_KEY = """
import secrets, sys, time
from pathlib import Path
from worker.settings import Settings
told = dict(nylas_api_key="k", nylas_client_id="c", public_url="https://e.example", data_dir=Path(sys.argv[1]))
settings = Settings.model_validate(told)
real, slow = secrets.token_bytes, float(sys.argv[2])
secrets.token_bytes = lambda size: print("makes it", flush=True) or time.sleep(slow) or real(size)
print("ready", flush=True)
moment = float(sys.stdin.readline())
while time.time() < moment:
    pass
print(settings.keys()[0].hex())
"""


@pytest.fixture(autouse=True)
def _enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that is right."""
    given = ENOUGH | {"EVERGRANT_DATA_DIR": str(tmp_path)}
    for name, value in given.items():
        monkeypatch.setenv(name, value)


class KeyMaker:
    """A process that makes a key, and may take its time over it."""

    def __init__(self, folder: Path, *, slowly: float = 0.0) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAKES_A_KEY, str(folder), str(slowly)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        """What it says next: `ready`, then perhaps `makes it`, then the key; nothing once it has died."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def may_go(self, at: float = 0.0) -> None:
        """Let it begin at that moment, or at once."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{at}\n")
        self.process.stdin.flush()

    def key(self) -> str:
        """The key that it got."""
        with self.process:
            while (said := self.says()) == "makes it":
                pass
        assert self.process.returncode == 0
        return said


def test_three_settings_are_enough(tmp_path: Path) -> None:
    settings = read()
    assert settings.nylas_api_uri == "https://api.us.nylas.com"
    assert settings.nylas_rate == 50
    assert settings.nylas_webhook_secret is None
    assert settings.database == f"sqlite:///{tmp_path / 'evergrant.db'}"
    assert (settings.uses_sqlite, settings.redis_url, settings.log_format) == (True, "", "text")
    assert settings.callback_url == "https://evergrant.example.com/oauth/callback"
    assert settings.webhook_url == "https://evergrant.example.com/webhooks/nylas"


def test_without_a_data_folder_it_is_one_in_the_folder_where_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERGRANT_DATA_DIR")
    assert read().data_dir == Path("evergrant-data")


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERGRANT_NYLAS_CLIENT_ID")
    wrong = {
        "EVERGRANT_NYLAS_API_KEY": "",
        "EVERGRANT_NYLAS_CLIENTID": "client",
        "EVERGRANT_PUBLIC_URL": "evergrant.example.com",
        "EVERGRANT_NYLAS_RATE": "-1",
        "EVERGRANT_DATABASE_URL": "mysql://host/name",
        "EVERGRANT_REDIS_URL": "http://host",
        "EVERGRANT_SECRET_KEYS": f"{KEY},c2hvcnQ=",
        "EVERGRANT_LOG_FORMAT": "xml",
        "EVERGRANT_COLOUR": "blue",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as refused:
        read()
    lines = str(refused.value).splitlines()[1:]
    for name in wrong.keys() | {"EVERGRANT_NYLAS_CLIENT_ID"}:
        assert [line for line in lines if re.match(rf"  - {name}\b", line)], name
    assert len(lines) == len(wrong) + 1
    message = str(refused.value)
    assert "EVERGRANT_NYLAS_CLIENTID is not a setting; did you mean EVERGRANT_NYLAS_CLIENT_ID?" in message
    assert "EVERGRANT_COLOUR is not a setting\n" in message + "\n"
    assert "EVERGRANT_NYLAS_API_KEY is missing" in message
    assert "'mysql' is not supported" in message
    assert "openssl rand -base64 32" in message


def test_what_only_the_tests_are_told_may_stay_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGRANT_TEST_BUDGET_CALLS", "2000")
    monkeypatch.setenv("EVERGRANT_NYLAS_OPENAPI", "nylas.json")

    assert read().nylas_client_id == "client"


@pytest.mark.parametrize(
    "value",
    [
        "ftp://host",
        "//host",
        "https://",
        "https://host/?x=1",
        "https://host/#x",
        "http://[bad",
        "host:80",
        "javascript:1",
    ],
)
@pytest.mark.parametrize("name", ["EVERGRANT_PUBLIC_URL", "EVERGRANT_NYLAS_API_URI"])
def test_what_is_no_web_address_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=name):
        read()


def test_a_slash_at_the_end_of_an_address_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGRANT_PUBLIC_URL", "https://evergrant.example.com/")
    assert read().callback_url == "https://evergrant.example.com/oauth/callback"


@pytest.mark.parametrize("url", ["postgresql://u:p@h:port/x", "postgresql", "::"])
def test_what_is_no_database_is_refused_in_one_message(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("EVERGRANT_DATABASE_URL", url)
    with pytest.raises(BadSettings, match="EVERGRANT_DATABASE_URL"):
        read()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_postgresql_without_keys_is_refused(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Each machine would make a key of its own, and none could read what another has sealed."""
    monkeypatch.setenv("EVERGRANT_DATABASE_URL", f"{scheme}://u:p@host/name")
    with pytest.raises(BadSettings, match="EVERGRANT_SECRET_KEYS is missing"):
        read()
    monkeypatch.setenv("EVERGRANT_SECRET_KEYS", KEY)
    assert read().keys() == [b"k" * 32]


def test_several_keys_are_read_newest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVERGRANT_SECRET_KEYS", f" {OTHER_KEY} , {KEY},")
    assert read().keys() == [b"o" * 32, b"k" * 32]
    assert not (tmp_path / "secret.key").exists()


def test_both_alphabets_of_base64_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"\xfb\xff" * 16
    for text in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        monkeypatch.setenv("EVERGRANT_SECRET_KEYS", text)
        assert read().keys() == [raw]


@pytest.mark.parametrize(
    "text", ["!", "c2hvcnQ=", KEY[:-1], KEY + KEY, "k" * 32, "ключ", base64.b64encode(b"k" * 31).decode()]
)
def test_what_is_no_key_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("EVERGRANT_SECRET_KEYS", text)
    with pytest.raises(BadSettings, match="32 bytes in base64") as refused:
        read()
    assert text == "!" or text not in str(refused.value)


@pytest.mark.parametrize(
    "show", [repr, str, lambda settings: f"{settings!s}", lambda settings: settings.model_dump_json()]
)
def test_no_secret_is_ever_shown(monkeypatch: pytest.MonkeyPatch, show: "type[str]") -> None:
    monkeypatch.setenv("EVERGRANT_NYLAS_WEBHOOK_SECRET", "whs_secret")
    monkeypatch.setenv("EVERGRANT_SECRET_KEYS", KEY)
    shown = show(read())
    assert [secret for secret in ("nyk_secret", "whs_secret", KEY) if secret in shown] == []


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("EVERGRANT_DATABASE_URL", "postgresql://user:pa55word@host/name"),
        ("EVERGRANT_REDIS_URL", "redis://:pa55word@host:6379/0"),
    ],
)
def test_no_password_in_an_address_is_ever_shown(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv("EVERGRANT_SECRET_KEYS", KEY)
    monkeypatch.setenv(name, url)
    assert "pa55word" not in repr(read())


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().log_format = "json"


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        [key] = read().keys()
    finally:
        os.umask(old)
    path = tmp_path / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert base64.b64decode(path.read_text()) == key
    assert read().keys() == [key]
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]
    Keyring([key])


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    read().keys()
    (tmp_path / "secret.key").chmod(mode)
    with pytest.raises(BadSettings, match="chmod 600"):
        read().keys()


@pytest.mark.parametrize("content", ["", "not base64!", "c2hvcnQ="])
def test_a_key_file_that_holds_no_key_is_refused_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(BadSettings, match=r"secret\.key"):
        read().keys()
    assert path.read_text() == content


def test_processes_that_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    makers = [KeyMaker(tmp_path / "data") for _ in range(4)]
    assert [maker.says() for maker in makers] == ["ready"] * 4
    at = time.time() + 0.1
    for maker in makers:
        maker.may_go(at)
    assert len({maker.key() for maker in makers}) == 1


def test_a_process_that_comes_while_another_still_makes_the_key_gets_the_same(tmp_path: Path) -> None:
    slow, quick = KeyMaker(tmp_path, slowly=0.5), KeyMaker(tmp_path)
    assert (slow.says(), quick.says()) == ("ready", "ready")
    slow.may_go()
    assert slow.says() == "makes it"
    quick.may_go()
    quick_key = quick.key()
    assert quick_key == slow.key()
    assert len(bytes.fromhex(quick_key)) == 32


def test_a_process_that_dies_while_it_makes_the_key_leaves_no_broken_one(tmp_path: Path) -> None:
    dies = KeyMaker(tmp_path, slowly=60)
    assert dies.says() == "ready"
    dies.may_go()
    assert dies.says() == "makes it"
    with dies.process:
        dies.process.kill()
    assert len(read().keys()[0]) == 32


def test_a_settings_object_needs_no_environment(tmp_path: Path) -> None:
    told = {"nylas_api_key": "k", "nylas_client_id": "c", "public_url": "https://e.example", "data_dir": tmp_path / "x"}
    assert Settings.model_validate(told).keys() == Settings.model_validate(told).keys()
    assert secrets.compare_digest(Settings.model_validate(told).nylas_api_key.get_secret_value(), "k")
