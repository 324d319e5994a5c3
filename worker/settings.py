"""The settings: read from the environment once, and refused in one message that lists all that is wrong."""

import base64
import binascii
import contextlib
import difflib
import os
import secrets
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lifecycle.reminding import DAYS
from tasks.notices.addresses import NotAllowed, checked_url
from tasks.notices.secrets import read_secrets
from worker import values

if TYPE_CHECKING:
    from tasks.notices.mail import MailServer

PREFIX = "EVERGRANT_"


# What only a few settings need is imported where one is read: whoever reads the settings is spared all the tables.


class BadSettings(Exception):
    """The environment is not right; the message lists each thing, and what to do."""


class Settings(BaseSettings):
    """What one installation is told. Each field is the environment variable `EVERGRANT_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    nylas_api_key: SecretStr
    nylas_client_id: str
    nylas_webhook_secret: SecretStr | None = None
    nylas_api_uri: str = "https://api.us.nylas.com"
    nylas_rate: Annotated[float, Field(ge=0)] = 50.0
    nylas_connectors_path: Annotated[str | None, Field(pattern=r"^(/[a-z0-9-]+)+$")] = None
    public_url: str
    bulk_messages: Annotated[int, Field(ge=1)] = 100
    bulk_yields: Annotated[int, Field(ge=1)] = 1_000
    shutdown_seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    data_dir: Path = Path("./evergrant-data")
    database_url: Annotated[str, Field(repr=False)] = ""  # it may hold a password
    redis_url: Annotated[str, Field(repr=False)] = ""
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    log_format: Annotated[str, Field(pattern="^(text|json)$")] = "text"
    notice_url: str = ""
    notice_secret: SecretStr | None = None
    notice_allow_private: bool = False
    smtp_url: SecretStr | None = None
    operator_email: Annotated[str, Field(repr=False)] = ""
    reminder_days: Annotated[tuple[int, ...], NoDecode] = DAYS
    quiet_hours: str = ""
    time_zone: str = "UTC"
    grace_seconds: Annotated[int, Field(ge=0, le=3600)] = 120
    link_hours: Annotated[float, Field(gt=0, le=24)] = 24.0
    incident_grants: Annotated[int, Field(ge=2)] = 20
    incident_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    incident_window_minutes: Annotated[int, Field(ge=1, le=1440)] = 10
    brake_flips: Annotated[int, Field(ge=0)] = 20_000
    brake_notices: Annotated[int, Field(ge=0)] = 5_000
    brake_deletions: Annotated[int, Field(ge=0)] = 100
    retire_after_days: Annotated[int | None, Field(ge=1, le=3650)] = None
    retire_never: Annotated[tuple[str, ...], NoDecode, Field(repr=False)] = ()
    price_per_grant: Annotated[Decimal | None, Field(ge=0)] = None

    @field_validator("secret_keys", "retire_never", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("secret_keys")
    @classmethod
    def _are_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in value:
            _key_bytes(key.get_secret_value())
        return value

    @field_validator("nylas_api_uri", "public_url")
    @classmethod
    def _is_http_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ValueError("must be a URL such as https://evergrant.example.com")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: str) -> str:
        if value:
            from models.database import UnsupportedDatabase, async_url

            try:
                async_url(value)
            except UnsupportedDatabase as error:
                raise ValueError(str(error)) from error
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("redis", "rediss"):
            raise ValueError("must be a URL such as redis://host:6379/0")
        return value

    @field_validator("notice_secret")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            read_secrets(value.get_secret_value())
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            from tasks.notices.mail import MailServer

            MailServer.of(value.get_secret_value())
        return value

    @field_validator("reminder_days", mode="before")
    @classmethod
    def _are_days(cls, value: object) -> object:
        return values.reminder_days(value) if isinstance(value, str) else value

    @field_validator("quiet_hours", "time_zone", "operator_email")
    @classmethod
    def _reads(cls, value: str, info: ValidationInfo) -> str:
        readers = {"quiet_hours": values.quiet_hours, "time_zone": values.time_zone}
        readers.get(str(info.field_name), values.email_address)(value)
        return value

    @property
    def mail_server(self) -> "MailServer | None":
        """Where mails are handed over, if anywhere."""
        from tasks.notices.mail import MailServer

        return MailServer.of(self.smtp_url.get_secret_value()) if self.smtp_url else None

    @property
    def database(self) -> str:
        """The database's URL: SQLite in the data directory unless told otherwise."""
        return self.database_url or f"sqlite:///{self.data_dir / 'evergrant.db'}"

    @property
    def uses_sqlite(self) -> bool:
        """Whether the database is one file on this machine."""
        return self.database.startswith("sqlite")

    @property
    def callback_url(self) -> str:
        """Where Nylas sends the user's browser back to; register it as a callback URI."""
        return f"{self.public_url}/oauth/callback"

    @property
    def webhook_url(self) -> str:
        """Where Nylas sends its notifications to."""
        return f"{self.public_url}/webhooks/nylas"

    def keys(self) -> list[bytes]:
        """The keys that seal secrets, newest first.

        With SQLite, and none set, one is made beside the database, readable by its owner only: whoever has the file
        but not the key reads no secret. Raises BadSettings if that file is not fit to hold a key.
        """
        if self.secret_keys:
            return [_key_bytes(key.get_secret_value()) for key in self.secret_keys]
        return [_key_of_file(self.data_dir / "secret.key")]


def _key_bytes(text: str) -> bytes:
    try:
        key = base64.b64decode(text, altchars=b"-_" if "-" in text or "_" in text else None, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise ValueError("each key must be 32 bytes in base64; make one with: openssl rand -base64 32")
    return key


def _key_of_file(path: Path) -> bytes:
    """Read the key, made whole before it gets its name: of processes that start at once, all read the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".key-") as made:  # mode 600
            made.write(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
            made.flush()
            os.fsync(made.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(made.name, path)
    if path.stat().st_mode & 0o077:
        raise BadSettings(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        return _key_bytes(path.read_text().strip())
    except ValueError as error:
        raise BadSettings(f"{path}: {error}") from error


def _of_notices(settings: Settings) -> list[str]:
    """Say what is wrong between the settings of notices."""
    wrong = []
    if settings.notice_url:
        try:
            checked_url(settings.notice_url, allow_private=settings.notice_allow_private)
        except NotAllowed as error:
            wrong.append(f"{PREFIX}NOTICE_URL: {error}")
        if not settings.notice_secret:
            wrong.append(
                f"{PREFIX}NOTICE_SECRET is missing: what is sent to {PREFIX}NOTICE_URL is signed by it; make one with: "
                'echo "whsec_$(openssl rand -base64 32)"'
            )
    if settings.operator_email and not settings.smtp_url:
        wrong.append(f"{PREFIX}SMTP_URL is missing: mails to {PREFIX}OPERATOR_EMAIL need a mail server")
    return wrong


def _is_of_the_tests(name: str) -> bool:
    """Tell what the tests are told by, so that it may stay set where the product is started."""
    return name.startswith(f"{PREFIX}TEST_") or name == f"{PREFIX}NYLAS_OPENAPI"


def read() -> Settings:
    """Read the settings. Raises BadSettings that lists everything missing, misspelt or malformed at once."""
    fields = list(Settings.model_fields)
    known = {f"{PREFIX}{name.upper()}" for name in fields}
    wrong = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known and not _is_of_the_tests(name):
            near = difflib.get_close_matches(name.removeprefix(PREFIX), [field.upper() for field in fields], n=1)
            wrong.append(f"{name} is not a setting" + (f"; did you mean {PREFIX}{near[0]}?" if near else ""))
    try:
        settings = Settings.model_validate({})
    except ValidationError as error:
        for problem in error.errors():
            name = f"{PREFIX}{str(problem['loc'][0]).upper()}"
            missing = problem["type"] == "missing"
            wrong.append(f"{name} is missing" if missing else f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    else:
        if not settings.uses_sqlite and not settings.secret_keys:
            wrong.append(
                f"{PREFIX}SECRET_KEYS is missing: with PostgreSQL every process needs the same key; "
                "make one with: openssl rand -base64 32"
            )
        wrong += _of_notices(settings)
    if wrong:
        raise BadSettings("The settings are not right:\n" + "\n".join(f"  - {line}" for line in wrong))
    return settings
