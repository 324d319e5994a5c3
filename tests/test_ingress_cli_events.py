"""The commands of events: what was set aside or failed is shown with its reason, and brought back."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from models import Event, Outcome
from models.columns import new_id
from models.inbox import told as event_told
from models.kinds import GRANT_EXPIRED, OAUTH_RETURNED, UNREADABLE
from simulator import Running
from tasks.context import Context
from tests.front import only_sqlite, told
from tests.in_process import Command
from tests.stories import stored, the_event


@pytest.fixture
def evergrant(tmp_path: Path, database_url: str, ctx: Context, sim: Running) -> Command:
    """The command, on the database of the test."""
    return Command(told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url))


def ended(ctx: Context, outcome: Outcome | None, kind: str = GRANT_EXPIRED, **more: Any) -> Event:
    """The row of an event that ended so, an hour ago, after some attempts."""
    at = ctx.now() - timedelta(hours=1)
    row = event_told(
        kind, f"test:{new_id()}", application_id=ctx.application_id, source="nylas", now=at, raw=b'{"a": 1}'
    )
    row.grant_id, row.attempts, row.crashes, row.reason = "g1", 7, 5, "the work on it crashed 5 times"
    row.settled_at, row.outcome = (at, outcome) if outcome else (None, None)
    for name, value in more.items():
        setattr(row, name, value)
    return row


async def stands(ctx: Context, *rows: Event) -> list[Outcome | None]:
    """How the events ended, if they did."""
    return [(await the_event(ctx, row.id)).outcome for row in rows]


async def test_what_was_set_aside_or_failed_is_brought_back(evergrant: Command, ctx: Context) -> None:
    aside, failed = ended(ctx, Outcome.SET_ASIDE), ended(ctx, Outcome.FAILED, OAUTH_RETURNED)
    done, unreadable = ended(ctx, Outcome.DONE), ended(ctx, Outcome.SET_ASIDE, UNREADABLE)
    await stored(ctx, aside, failed, done, unreadable)

    said = await evergrant("events", "retry", "--set-aside", "--yes")
    assert (said.code, said.out, said.err) == (0, "", "1 events are due again.")
    assert await stands(ctx, aside, failed, done, unreadable) == [
        None,
        Outcome.FAILED,
        Outcome.DONE,
        Outcome.SET_ASIDE,
    ]
    row = await the_event(ctx, aside.id)
    assert (row.settled_at, row.attempts, row.crashes, row.claim_token) == (None, 0, 0, None)
    assert row.due_at > aside.due_at

    said = await evergrant("events", "retry", str(failed.id), "--json")
    assert said.data == {"due_again": 1}
    assert await stands(ctx, failed) == [None]


@only_sqlite
async def test_a_kind_can_be_brought_back_by_itself(evergrant: Command, ctx: Context) -> None:
    rows = [ended(ctx, Outcome.SET_ASIDE), ended(ctx, Outcome.SET_ASIDE, OAUTH_RETURNED)]
    await stored(ctx, *rows)
    assert (await evergrant("events", "retry", "--set-aside", "--kind", GRANT_EXPIRED, "--yes")).code == 0
    assert await stands(ctx, *rows) == [None, Outcome.SET_ASIDE]


@only_sqlite
async def test_many_are_brought_back_in_parts(
    evergrant: Command, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingress.events_admin.ROWS_A_TRANSACTION", 4)
    rows = [ended(ctx, Outcome.FAILED) for _ in range(9)]
    await stored(ctx, *rows)
    assert (await evergrant("events", "retry", "--failed", "--yes", "--json")).data == {"due_again": 9}
    assert await stands(ctx, *rows) == [None] * 9


@only_sqlite
async def test_what_can_t_be_brought_back_says_why_and_nothing_is_done(evergrant: Command, ctx: Context) -> None:
    good, done = ended(ctx, Outcome.SET_ASIDE), ended(ctx, Outcome.DONE)
    waiting, unreadable = ended(ctx, None), ended(ctx, Outcome.SET_ASIDE, UNREADABLE)
    await stored(ctx, good, done, waiting, unreadable)
    unknown = new_id()
    for row_id, said in (
        (done.id, f"{done.id} is done: only what was set aside or failed is brought back."),
        (waiting.id, f"{waiting.id} is open"),
        (unreadable.id, "of the kind unreadable, which nothing deals with"),
        (unknown, f"No event has the id {unknown}"),
    ):
        refused = await evergrant("events", "retry", str(good.id), str(row_id))
        assert (refused.code, refused.out) == (1, "")
        assert said in refused.err
        assert refused.err.endswith("Nothing was done.")
    assert await stands(ctx, good) == [Outcome.SET_ASIDE]
    for arguments, code, said in (
        ((), 2, "Say which events"),
        (("--failed",), 1, "There is no such event."),
        (("--set-aside",), 2, "say --yes"),
        (("no-id",), 2, "Invalid value"),
    ):
        refused = await evergrant("events", "retry", *arguments)
        assert (refused.code, refused.out, said in refused.err) == (code, "", True), arguments


@only_sqlite
async def test_events_are_listed_the_newest_first_and_filtered(evergrant: Command, ctx: Context) -> None:
    rows = [ended(ctx, Outcome.DONE), ended(ctx, Outcome.SET_ASIDE), ended(ctx, None, OAUTH_RETURNED, grant_id=None)]
    await stored(ctx, *rows)
    ids = [str(row.id) for row in rows]

    async def listed(*arguments: str) -> list[str]:
        return [event["event_id"] for event in (await evergrant("events", "list", "--json", *arguments)).data]

    assert await listed() == ids[::-1]
    assert await listed("--limit", "1") == ids[2:]
    assert await listed("--outcome", "set-aside") == [ids[1]]
    assert await listed("--kind", OAUTH_RETURNED) == [ids[2]]
    assert await listed("--grant", "g1") == ids[1::-1]
    table = await evergrant("events", "list")
    assert all(event_id in table.out for event_id in ids)
    assert "the work on it crashed 5 times" in table.out
    assert (await evergrant("events", "list", "--outcome", "lost")).code == 2


@only_sqlite
async def test_an_event_is_shown_with_its_body_as_it_came(evergrant: Command, ctx: Context) -> None:
    plain, binary = ended(ctx, Outcome.DONE), ended(ctx, Outcome.SET_ASIDE, UNREADABLE, raw=b"\xff[red]\x1b[31mhi")
    await stored(ctx, plain, binary)
    shown, as_json, garbled = (
        await evergrant("events", "show", str(plain.id)),
        await evergrant("events", "show", str(plain.id), "--json"),
        await evergrant("events", "show", str(binary.id)),
    )
    assert '{\n  "a": 1\n}' in shown.out
    assert (as_json.data["event_id"], as_json.data["attempts"]) == (str(plain.id), 7)
    assert "\\xff[red]\\x1b[31mhi" in garbled.out
    assert "\x1b" not in garbled.out
    unknown = await evergrant("events", "show", str(UUID(int=7)))
    assert (unknown.code, "No event has the id" in unknown.err) == (1, True)


@only_sqlite
async def test_the_dead_are_what_can_be_brought_back_and_what_nobody_can_read(evergrant: Command, ctx: Context) -> None:
    aside, failed = ended(ctx, Outcome.SET_ASIDE), ended(ctx, Outcome.FAILED, OAUTH_RETURNED, reason="Nylas said no")
    unreadable = ended(ctx, Outcome.SET_ASIDE, UNREADABLE, reason="it is no JSON")
    await stored(ctx, aside, failed, ended(ctx, Outcome.DONE), ended(ctx, None), unreadable)

    dead = (await evergrant("events", "list", "--dead", "--json")).data
    assert [(event["event_id"], event["reason"]) for event in dead] == [
        (str(unreadable.id), "it is no JSON"),
        (str(failed.id), "Nylas said no"),
        (str(aside.id), "the work on it crashed 5 times"),
    ]
    of_kind = (await evergrant("events", "list", "--dead", "--kind", OAUTH_RETURNED, "--json")).data
    assert [event["event_id"] for event in of_kind] == [str(failed.id)]
    assert (await evergrant("events", "list", "--dead", "--outcome", "done")).code == 2
