"""`./dev migration MESSAGE`: write the next migration, for a human to read and mend before it is committed."""

import asyncio
import sys
import tempfile

from models.database import Database
from models.migrations.run import upgrade, write_revision


async def main(message: str) -> None:
    """Migrate an empty SQLite to the newest revision, and write down in what the models differ from it."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/empty.db")
        await upgrade(database)
        await write_revision(database, message)
        await database.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: ./dev migration MESSAGE")
    asyncio.run(main(sys.argv[1]))
