"""What recurs goes by an index: each statement of it that reaches the database is explained by the database."""

import pytest

from tasks.context import Context
from tests import recurring
from tests.crowd import crowd, crowded_postgres, crowded_sqlite, database_url
from tests.explaining import recorded, walks

__all__ = ["crowd", "crowded_postgres", "crowded_sqlite", "database_url"]

# Not here, since a human asks for it now and then: the exports of campaigns, the lists of notices, events and
# links with whatever filter, `campaigns` with a filter by scope or domain (it goes from id to id), and the doctor.
WORK = [
    recurring.sweeps,
    recurring.looks_at_what_was_told,
    recurring.looks_twice,
    recurring.detects_what_failed_together,
    recurring.probes_an_incident,
    recurring.probes_silent_webhooks,
    recurring.syncs,
    recurring.fans_notices_out,
    recurring.delivers,
    recurring.counts_for_the_brakes,
    recurring.reauthenticates,
    recurring.plans_campaigns,
    recurring.gives_campaigns_up,
    recurring.shows_progress,
    recurring.forgets,
    recurring.retires,
    recurring.lists_grants_by_the_api,
    recurring.lists_grants_by_the_command,
    recurring.tells_why,
    recurring.tells_the_story,
]

HELD = "SELECT count(*) AS count_1 FROM grant WHERE grant.application_id = ? AND "
COUNTS = {
    HELD + "grant.status != ? AND grant.as_of < ?": "once after each sync, which has read all grants from Nylas",
    HELD + "grant.status != ?": "the same, and how large the application is, when a handful has failed together",
    HELD + "grant.provider = ? AND grant.status != ?": "how large a connector is, when a handful has failed together",
    "WHERE grant.application_id = ? AND grant.status != ? GROUP BY grant.status": "once for each storm of hints",
}
"""What counts all grants of an application has to read something of each; how often that is, and why."""

FAULTS = {
    "AND notice.held_by IS NULL LIMIT ?": (
        "planned reminders make PostgreSQL expect one that is due anywhere: ORDER BY due_at would lead it to the index",
        {recurring.sweeps, recurring.retires},
    ),
    "SELECT min(event.received_at)": (
        "events have no index by time: their ids sort by it, and could bound the search",
        {recurring.probes_silent_webhooks},
    ),
    "ORDER BY grant.as_of DESC": (
        "an index by as_of would be written for each grant by each sync: a list by id needs none",
        {recurring.lists_grants_by_the_command},
    ),
    "WHERE notice.grant_id = ? OR delivery.grant_id = ?": (
        "an OR over two tables goes by no index; the deliveries of the grant's notices are all that is used",
        {recurring.tells_why, recurring.tells_the_story},
    ),
}
"""What should go by an index and can't as it is written: why, and where it is met."""

WITHOUT_STATISTICS = [
    "FROM transition JOIN grant",
    "ORDER BY grant.id LIMIT",
    "OR lower(grant.email)",
]
"""Where SQLite takes the application for a narrow search: it knows better once PRAGMA optimize has counted the rows."""


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
async def test_what_recurs_walks_through_no_table(crowd: Context, work: recurring.Work) -> None:
    with recorded(crowd.database) as said:
        await work(crowd)
    assert said
    different = {str(one): one for one in said}
    steps = {sql: await walks(crowd.database, one) for sql, one in different.items()}
    walking = {sql: found for sql, found in steps.items() if found}

    faults = {part for part in FAULTS if any(part in sql for sql in walking)}
    if not crowd.database.is_sqlite:
        assert faults == {part for part, (_, where) in FAULTS.items() if work in where}, "strike off what was mended"
    known = [*faults, *(WITHOUT_STATISTICS if crowd.database.is_sqlite else ())]
    surprising = {sql: found for sql, found in walking.items() if not any(part in sql for part in known)}
    assert {sql: found for sql, found in surprising.items() if not any(sql.endswith(part) for part in COUNTS)} == {}
