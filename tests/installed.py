"""What the tests of the commands for Nylas' side stand on: an installation on SQLite, set up on the simulator."""

import secrets
from base64 import b64encode
from pathlib import Path

import pytest

from models.database import Database
from simulator import Running
from tests.conftest import API_KEY, CLIENT_ID, WEBHOOK_SECRET
from tests.in_process import Command

PUBLIC_URL = "https://grants.example.com"
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def evergrant(tmp_path: Path, database_url: str, database: Database, sim: Running) -> Command:
    """The command, with the settings of an installation whose database is migrated."""
    return Command(
        {
            "NYLAS_API_KEY": API_KEY,
            "NYLAS_CLIENT_ID": CLIENT_ID,
            "NYLAS_API_URI": sim.url,
            "NYLAS_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "PUBLIC_URL": PUBLIC_URL,
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": database_url,
            "SECRET_KEYS": b64encode(secrets.token_bytes(32)).decode(),
        }
    )


def file(folder: Path, content: str | bytes, name: str = "secret") -> str:
    """Write a file; return its path."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)
