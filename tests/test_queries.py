"""What recurs goes by an index: each statement of it that reaches the database is explained by the database."""

import pytest

from tasks.context import Context
from tests import recurring
from tests.crowd import crowd, crowded_postgres, crowded_sqlite, database_url
from tests.explaining import plan, recorded, walks

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
    recurring.keeps_house,
    recurring.retires,
    recurring.lists_grants_by_the_api,
    recurring.lists_grants_by_the_command,
    recurring.tells_why,
    recurring.tells_the_story,
]

HELD = "SELECT count(*) AS count_1 FROM grant WHERE grant.application_id = ? AND "
COUNTS = {
    HELD + "grant.status != ? AND grant.as_of < ?": "once after each sync, which has read all grants from Nylas",
    HELD + "grant.status != ?": "the same",
    "WHERE grant.application_id = ? AND grant.status != ? GROUP BY grant.status": "once for each storm of hints",
}
"""What counts all grants of an application has to read something of each; how often that is, and why."""


async def test_what_failed_together_is_found_by_when_it_was_seen_to_fail(crowd: Context) -> None:
    with recorded(crowd.database) as said:
        await recurring.detects_what_failed_together(crowd)
    counted = next(one for one in said if "GROUP BY grant.application_id, grant.status" in str(one))
    assert "ix_grant_expiry_seen_at" in str(await plan(crowd.database, counted))


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
async def test_what_recurs_walks_through_no_table(crowd: Context, work: recurring.Work) -> None:
    with recorded(crowd.database) as said:
        await work(crowd)
    assert said
    different = {str(one): one for one in said}
    steps = {sql: await walks(crowd.database, one) for sql, one in different.items()}
    walking = {sql: found for sql, found in steps.items() if found}

    surprising = {sql: found for sql, found in walking.items() if not any(sql.endswith(part) for part in COUNTS)}
    assert surprising == {}
