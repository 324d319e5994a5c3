"""Secrets at rest: what opens, what never does, and that none of them reaches the disk or a message as it is."""

import base64
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import SQLModel

from models import Application, AuthSession, AuthSessionStatus
from models.columns import new_id
from models.database import Database
from models.inbox import told
from models.migrations.run import upgrade
from models.sealing import Keyring, Sealed, Unsealable

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY, OLDER = bytes(range(32)), bytes(range(1, 33))
CANARIES = {
    "api_key": "nyk_canary_4f1d",
    "webhook_secret": "whsec_canary_92ab",
    "code": "code_canary_77c3",
    "code_verifier": "verifier_canary_e05b",
}


def an_application(*, api_key: str = "") -> Application:
    """An application, not stored."""
    return Application(
        id=new_id(), client_id=str(new_id()), api_uri="u", api_key=api_key, created_at=NOON, updated_at=NOON
    )


def a_sign_in(application: Application) -> AuthSession:
    """A sign-in on its way, not stored."""
    return AuthSession(
        id=new_id(),
        application_id=application.id,
        status=AuthSessionStatus.RETURNED,
        provider="google",
        state_hash=secrets.token_hex(32),
        browser_hash=secrets.token_hex(32),
        redirect_uri="http://127.0.0.1/oauth/callback",
        created_at=NOON,
        expires_at=NOON,
    )


async def store(database: Database, *rows: SQLModel) -> None:
    """Store the rows in one transaction, one after the other."""
    async with database.writing() as session:
        for row in rows:
            session.add(row)
            await session.flush()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated SQLite database."""
    database = Database(f"sqlite:///{tmp_path / 'evergrant.db'}")
    await upgrade(database)
    yield database
    await database.close()


@given(secret=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_is_revealed(secret: str) -> None:
    keys, row = Keyring([KEY]), an_application()
    keys.seal(row, "api_key", secret)
    assert keys.reveal(row, "api_key") == secret


def test_sealing_twice_gives_two_texts() -> None:
    """Each has a nonce of its own, so that nobody sees that two secrets are the same."""
    keys, row = Keyring([KEY]), an_application()
    sealed = set()
    for _ in range(100):
        keys.seal(row, "api_key", "the same")
        sealed.add(row.api_key)
    assert len(sealed) == 100


def test_a_text_moved_to_another_row_does_not_open() -> None:
    keys, one, other = Keyring([KEY]), an_application(), an_application()
    keys.seal(one, "api_key", "secret")
    other.api_key = one.api_key
    with pytest.raises(Unsealable, match=str(other.id)):
        keys.reveal(other, "api_key")


def test_a_text_moved_to_another_column_does_not_open() -> None:
    keys, row = Keyring([KEY]), an_application()
    keys.seal(row, "api_key", "secret")
    row.webhook_secret = row.api_key
    with pytest.raises(Unsealable, match="webhook_secret"):
        keys.reveal(row, "webhook_secret")


def test_a_text_moved_to_another_table_does_not_open() -> None:
    """Not even into a row of the same id and a column of the same name."""
    keys, application = Keyring([KEY]), an_application()
    sign_in = a_sign_in(application)
    event = told("grant.created", "k", application_id=application.id, source="nylas", now=NOON)
    event.id = sign_in.id
    keys.seal(sign_in, "reason", "secret")
    event.reason = sign_in.reason
    assert keys.reveal(sign_in, "reason") == "secret"
    with pytest.raises(Unsealable):
        keys.reveal(event, "reason")


@given(place=st.integers(min_value=0), flip=st.integers(1, 255))
def test_a_text_with_a_changed_byte_never_opens(place: int, flip: int) -> None:
    keys, row = Keyring([KEY]), an_application()
    keys.seal(row, "api_key", "secret")
    head, _, body = row.api_key.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(body))
    raw[place % len(raw)] ^= flip
    row.api_key = f"{head}.{base64.urlsafe_b64encode(raw).decode()}"
    with pytest.raises(Unsealable):
        keys.reveal(row, "api_key")


@given(length=st.integers(0, 100), tail=st.text(max_size=20))
def test_a_text_that_was_cut_or_replaced_is_unsealable_and_nothing_worse(length: int, tail: str) -> None:
    keys, row = Keyring([KEY]), an_application()
    keys.seal(row, "api_key", "a secret of some length")
    row.api_key = row.api_key[: min(length, len(row.api_key) - 5)] + tail
    with pytest.raises(Unsealable):
        keys.reveal(row, "api_key")


def test_a_text_of_another_format_does_not_open() -> None:
    """The format's name is there so that a later one can mean something else."""
    keys, row = Keyring([KEY]), an_application()
    keys.seal(row, "api_key", "secret")
    row.api_key = "eg2" + row.api_key.removeprefix("eg1")
    with pytest.raises(Unsealable):
        keys.reveal(row, "api_key")


def test_an_empty_column_is_unsealable() -> None:
    with pytest.raises(Unsealable):
        Keyring([KEY]).reveal(an_application(), "webhook_secret")


def test_an_older_key_still_opens_and_the_newest_one_seals() -> None:
    row = an_application()
    Keyring([OLDER]).seal(row, "api_key", "secret")
    both = Keyring([KEY, OLDER])
    assert both.reveal(row, "api_key") == "secret"

    both.seal(row, "api_key", "secret")
    assert Keyring([KEY]).reveal(row, "api_key") == "secret"
    with pytest.raises(Unsealable):
        Keyring([OLDER]).reveal(row, "api_key")


def test_a_key_that_is_missing_is_named_as_the_cause() -> None:
    row = an_application()
    Keyring([OLDER]).seal(row, "api_key", "secret")
    with pytest.raises(Unsealable, match="EVERGRANT_SECRET_KEYS"):
        Keyring([KEY]).reveal(row, "api_key")


def test_a_sealed_text_does_not_tell_its_key() -> None:
    row = an_application()
    Keyring([KEY]).seal(row, "api_key", "secret")
    assert KEY.hex()[:8] not in row.api_key
    assert base64.urlsafe_b64encode(KEY).decode()[:8] not in row.api_key


@pytest.mark.parametrize("keys", [[], [b""], [bytes(16)], [KEY, bytes(33)]])
def test_keys_of_another_size_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="key"):
        Keyring(keys)


async def test_a_secret_column_refuses_plain_text(sqlite: Database) -> None:
    with pytest.raises(StatementError, match="sealed"):
        await store(sqlite, an_application(api_key=CANARIES["api_key"]))


async def test_the_refusal_does_not_repeat_the_secret(sqlite: Database) -> None:
    """It ends in a log, where no secret may be."""
    with pytest.raises(StatementError) as refused:
        await store(sqlite, an_application(api_key=CANARIES["api_key"]))
    assert CANARIES["api_key"] not in f"{refused.value!r} {refused.value}"


async def test_an_error_of_the_database_does_not_repeat_what_was_written(sqlite: Database) -> None:
    """Nor an e-mail address, nor the hash of a sign-in's state."""
    application = an_application()
    Keyring([KEY]).seal(application, "api_key", "secret")
    sign_in, other = a_sign_in(application), a_sign_in(application)
    other.state_hash, other.login_hint = sign_in.state_hash, "grace.h@example.org"
    with pytest.raises(IntegrityError) as failed:
        await store(sqlite, application, sign_in, other)
    assert "grace.h@example.org" not in str(failed.value)


async def test_no_secret_reaches_the_disk_as_it_is(sqlite: Database, tmp_path: Path) -> None:
    keys, application = Keyring([KEY]), an_application()
    sign_in = a_sign_in(application)
    sign_in.login_hint = "not-a-secret@example.org"
    for column in ("api_key", "webhook_secret"):
        keys.seal(application, column, CANARIES[column])
    for column in ("code", "code_verifier"):
        keys.seal(sign_in, column, CANARIES[column])
    await store(sqlite, application, sign_in)

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.glob("evergrant.db*")))

    before = on_disk()
    async with sqlite.engine.connect() as connection:
        await connection.execute(text("COMMIT"))
        await connection.execute(text("PRAGMA wal_checkpoint(FULL)"))
    for stored in (before, on_disk()):
        assert b"not-a-secret@example.org" in stored, "the rows are there"
        assert not [canary for canary in CANARIES.values() if canary.encode() in stored]


def test_every_column_that_holds_a_secret_is_sealed() -> None:
    sealed = {
        column.name
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Sealed)
    }
    plain = {
        column.name
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if not isinstance(column.type, Sealed)
    }
    assert sealed >= set(CANARIES)
    assert not plain & set(CANARIES)
    assert not {name for name in plain if name.endswith(("_secret", "api_key", "password", "access_token", "_code"))}
