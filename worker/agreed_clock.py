"""The clock that all processes of an installation go by: the database server's, since leases and looks stand there."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select

from models.cancellation import is_cancelled
from models.database import Database
from tasks.clock import Clock

log = structlog.get_logger()

AGREES_EVERY = 10.0
NEAR_ENOUGH = timedelta(seconds=0.25)
WITHIN = 2.0


class AgreedClock:
    """This machine's clock, put right by as much as it is away from the database server's.

    A machine that is minutes ahead would take rows whose holders are well, and what it saw would overrule what others
    see after it; one that is behind would hold rows under leases that have run out. SQLite has no server: whoever
    opens the file does so on the same machine.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        """What time it is."""
        return self._own() - self.ahead

    async def agree(self, database: Database) -> None:
        """Ask the server what time it is there; the question and the answer may have taken the same time."""
        if database.is_sqlite:
            return
        async with asyncio.timeout(WITHIN), database.reading() as session:
            await session.connection()
            asked = self._own()
            there: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
            heard = self._own()
        ahead = asked + (heard - asked) / 2 - there
        ahead = ahead if abs(ahead) > max(NEAR_ENOUGH, heard - asked) else timedelta()
        if abs(ahead - self.ahead) > NEAR_ENOUGH:
            log.warning("clock.off", seconds=round(ahead.total_seconds(), 1), goes_by="the database server's")
        self.ahead = ahead

    async def keep_agreeing(self, database: Database) -> None:
        """Ask now and then, until cancelled; while there is no answer the last one holds."""
        while True:
            await asyncio.sleep(AGREES_EVERY)
            try:
                await self.agree(database)
            except Exception as error:
                if is_cancelled():
                    raise asyncio.CancelledError from error


async def agreed(database: Database, own: Clock) -> AgreedClock:
    """Make the clock. A server that does not say what time it is is found out by whoever asks it next."""
    clock = AgreedClock(own)
    with suppress(TimeoutError):
        await clock.agree(database)
    return clock
