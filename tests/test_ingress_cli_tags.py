"""The command `grants tag`: words of the operator's own, on grants that are named or listed."""

from pathlib import Path

import pytest
from sqlalchemy import select

from models import GrantTag
from models.database import Database
from simulator import Running
from tasks.context import Context
from tests.front import told
from tests.in_process import Command
from tests.installed import file
from tests.stories import all_grants, known


@pytest.fixture
def evergrant(tmp_path: Path, database_url: str, sim: Running, ctx: Context) -> Command:
    """The command, of an installation on the database of the test."""
    return Command(told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url))


async def tags(database: Database) -> set[tuple[str, str]]:
    """All tags, with their grants."""
    async with database.reading() as session:
        return {(row.grant_id, row.tag) for row in await session.scalars(select(GrantTag))}


async def test_tags_are_added_and_removed_and_again_is_no_change(
    evergrant: Command, ctx: Context, sim: Running
) -> None:
    one, two = await known(ctx, sim, 2)
    email = str((await all_grants(ctx))[two].email)
    add = ("grants", "tag", one, email, "--add", "vip", "--add", "eu/west")
    said = await evergrant(*add)
    assert (said.code, said.out, said.err) == (0, "", "Grants: 2; tags added: 4, removed: 0.")
    assert (await evergrant(*add, "--json")).data == {"grants": 2, "added": 0, "removed": 0, "bad": 0}
    await evergrant("grants", "tag", one, "--remove", "vip", "--add", "new")
    assert await tags(ctx.database) == {(one, "eu/west"), (one, "new"), (two, "vip"), (two, "eu/west")}
    gone = await evergrant("grants", "tag", one, two, "--remove", "vip", "--remove", "eu/west", "--json")
    assert gone.data == {"grants": 2, "added": 0, "removed": 3, "bad": 0}


async def test_a_list_gives_each_grant_a_tag_of_its_own(
    evergrant: Command, ctx: Context, sim: Running, tmp_path: Path
) -> None:
    one, two, three = await known(ctx, sim, 3)
    email = str((await all_grants(ctx))[two].email)
    path = file(
        tmp_path,
        f"grant_id,email,tag\n{one},,gold\n{one},,vip\n,{email.upper()},silver\n{three},,\nnobody,,gold\n"
        f",nobody@example.com,gold\n{three},,no tag\n",
    )
    said = await evergrant("grants", "tag", "--from", path)
    assert (said.code, said.out) == (1, "")
    for expected in (
        "line 5: it has no tag",
        "line 6: no grant of ours has this id",
        "line 7: no grant of ours has this address",
        "line 8: tag must be letters, digits, and the signs . : / - _",
        "Grants: 2; tags added: 3, removed: 0; bad lines: 4.",
    ):
        assert expected in said.err
    assert await tags(ctx.database) == {(one, "gold"), (one, "vip"), (two, "silver")}


async def test_what_is_to_change_may_be_said_for_a_whole_list(evergrant: Command, ctx: Context, sim: Running) -> None:
    grants = await known(ctx, sim, 3)
    await evergrant("grants", "tag", *grants, "--add", "old")
    listed = "\n".join(["grant_id", *grants[:2]])
    said = await evergrant("grants", "tag", "--from", "-", "--add", "new", "--remove", "old", stdin=listed)
    assert (said.code, said.err) == (0, "Grants: 2; tags added: 2, removed: 2.")
    assert await tags(ctx.database) == {(grants[0], "new"), (grants[1], "new"), (grants[2], "old")}


async def test_what_can_t_be_asked_for_is_refused(evergrant: Command, ctx: Context, sim: Running) -> None:
    [one] = await known(ctx, sim)
    for arguments, code, said in (
        ((), 2, "Name the grants whose tags are to change"),
        ((one,), 2, "Say what is to change: --add TAG, --remove TAG"),
        ((one, "--add", "no tag"), 2, "a tag is 1 to 64 letters"),
        ((one, "--add", "x" * 65), 2, "a tag is 1 to 64 letters"),
        ((one, "--add", "vip", "--remove", "vip"), 2, "vip: a tag can't be added and removed at once"),
        (("nobody", "--add", "vip"), 1, "No grant has the id or the email address 'nobody'"),
        ((one, "nobody", "--add", "vip"), 1, "No grant has the id or the email address 'nobody'"),
        (("--from", "/nowhere"), 2, "/nowhere can't be read"),
    ):
        refused = await evergrant("grants", "tag", *arguments)
        assert (refused.code, refused.out) == (code, ""), arguments
        assert said in refused.err
    assert await tags(ctx.database) == set()
