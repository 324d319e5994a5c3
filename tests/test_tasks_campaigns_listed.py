"""The lines of a list become items: of grants that we know, and of mailboxes that have none yet."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.campaigning import NO_DEADLINE, rank_of
from models import Campaign, CampaignItem, CampaignStatus, Grant, Outcome, VaultSecret, Way
from models.columns import new_id
from models.sealing import Keyring, Unsealable
from nylas_api import Ews, ICloud, Imap, RefreshToken
from simulator import Running
from tasks.campaigns.lines import BadLine, Line, OwnSettings, as_text, from_text, way_of
from tasks.campaigns.listed import MOST_LINES, from_vault, note_use, write_listed
from tasks.context import Context
from tests.conftest import SetClock
from tests.stories import all_grants, known, the_items

TOKEN = RefreshToken.model_validate({"refresh_token": "1//HIDDEN", "credential_id": "client"})
ACCOUNT = Imap.model_validate({"imap_username": "ada", "imap_password": "HIDDEN", "imap_port": 993})


async def a_campaign(ctx: Context) -> Campaign:
    """A campaign that is for a list."""
    campaign = Campaign(
        application_id=ctx.application_id, status=CampaignStatus.PLANNED, filter={"list": "x"}, created_at=ctx.now()
    )
    async with ctx.database.writing() as session:
        session.add(campaign)
    return campaign


async def written(ctx: Context, campaign: Campaign, *lines: Line) -> list[BadLine]:
    """Write a part of a list."""
    async with ctx.database.writing() as session:
        return await write_listed(session, ctx, campaign, lines, now=ctx.now())


async def by_line(ctx: Context, campaign: Campaign) -> dict[int | None, CampaignItem]:
    """The items of a campaign, by their lines."""
    return {item.line: item for item in await the_items(ctx, campaign.id)}


async def changed(ctx: Context, grant_id: str, **columns: object) -> None:
    """Change a grant behind everybody's back."""
    async with ctx.database.writing() as session:
        await session.execute(update(Grant).where(col(Grant.id) == grant_id).values(**columns))


async def test_a_line_names_a_grant_by_its_id_or_its_address(ctx: Context, sim: Running, clock: SetClock) -> None:
    one, two, three = await known(ctx, sim, 3)
    emails = {grant.id: str(grant.email) for grant in (await all_grants(ctx)).values()}
    await changed(ctx, two, expired_at=clock())
    campaign = await a_campaign(ctx)
    bad = await written(
        ctx,
        campaign,
        Line(2, grant_id=one, credential_id="cred"),
        Line(3, email=emails[two].upper()),
        Line(5, grant_id=three, email=emails[three].title(), provider="google", settings=TOKEN),
    )
    assert bad == []
    items = await by_line(ctx, campaign)
    assert {line: (item.grant_id, item.way, item.email) for line, item in items.items()} == {
        2: (one, Way.CREDENTIAL, None),
        3: (two, None, None),
        5: (three, Way.REFRESH, None),
    }
    assert items[2].credential_id == "cred"
    assert (items[2].rank, items[3].rank) == (NO_DEADLINE, rank_of(clock(), clock()))
    assert "HIDDEN" not in repr(items[5])
    assert from_text(ctx.keys.reveal(items[5], "secret")) == TOKEN
    assert all(item.settled_at is None for item in items.values())


async def test_a_mailbox_without_a_grant_is_taken_if_the_line_says_how_it_is_authenticated(ctx: Context) -> None:
    campaign = await a_campaign(ctx)
    bad = await written(
        ctx,
        campaign,
        Line(2, email="Ada@example.com", provider="google", credential_id="cred"),
        Line(3, email="ada@example.org", provider="imap", settings=ACCOUNT),
        Line(4, email="bob@example.com", provider="google"),
        Line(5, email="eve@example.com", settings=TOKEN),
    )
    assert [line.number for line in bad] == [4, 5]
    assert all("no grant of ours has this address: to make one, a line needs its provider" in b.reason for b in bad)
    items = await by_line(ctx, campaign)
    assert {line: (item.grant_id, item.email, item.provider, item.way) for line, item in items.items()} == {
        2: (None, "Ada@example.com", "google", Way.CREDENTIAL),
        3: (None, "ada@example.org", "imap", Way.IMAP),
    }
    assert json.loads(ctx.keys.reveal(items[3], "secret"))["imap_port"] == 993


async def test_a_line_that_names_no_grant_or_contradicts_itself_is_told(ctx: Context, sim: Running) -> None:
    one, two, gone = await known(ctx, sim, 3)
    emails = {grant.id: grant.email for grant in (await all_grants(ctx)).values()}
    await changed(ctx, two, email=emails[one])
    await changed(ctx, gone, status=GrantStatus.DELETED)
    campaign = await a_campaign(ctx)
    bad = await written(
        ctx,
        campaign,
        Line(2, grant_id="nobody"),
        Line(3, grant_id=gone),
        Line(4, email=emails[gone]),
        Line(5, email=emails[one]),
        Line(6, grant_id=one, email="other@example.com"),
        Line(7, grant_id=one, provider="microsoft"),
        Line(8, grant_id=one, settings=ACCOUNT),
        Line(9, grant_id=one),
    )
    assert {line.number: line.reason for line in bad} == {
        2: "no grant of ours has this id (evergrant sync imports what Nylas has)",
        3: "the grant was deleted",
        4: bad[2].reason,
        5: "2 grants have this address: name one by its grant_id",
        6: "it contradicts itself: the grant has another address than this email",
        7: "it contradicts itself: the grant is one of google",
        8: "a mailbox of google is not authenticated in this way",
    }
    assert bad[2].reason.startswith("no grant of ours has this address")
    assert list(await by_line(ctx, campaign)) == [9]


async def test_the_same_part_again_changes_nothing(ctx: Context, sim: Running) -> None:
    one, two = await known(ctx, sim, 2)
    email = (await all_grants(ctx))[one].email
    campaign = await a_campaign(ctx)
    part = (
        Line(2, grant_id=one, settings=TOKEN),
        Line(3, email=email),
        Line(4, email="new@example.com", provider="google", settings=TOKEN),
    )
    told = await written(ctx, campaign, *part)
    before = await by_line(ctx, campaign)
    assert [(line.number, line.reason) for line in told] == [(3, "it names the same grant as line 2")]
    assert await written(ctx, campaign, *part) == told
    assert await written(ctx, campaign, Line(9, email=email), Line(10, grant_id=two)) == [
        BadLine(9, "it names the same grant as line 2")
    ]
    after = await by_line(ctx, campaign)
    assert list(after) == [2, 4, 10]
    assert {line: (item.id, item.secret) for line, item in after.items() if line != 10} == {
        line: (item.id, item.secret) for line, item in before.items()
    }


async def test_a_grant_that_another_campaign_has_open_is_skipped(ctx: Context, sim: Running) -> None:
    one, two = await known(ctx, sim, 2)
    first, second = await a_campaign(ctx), await a_campaign(ctx)
    await written(ctx, first, Line(2, grant_id=one))
    for _ in range(2):
        assert await written(ctx, second, Line(2, grant_id=two), Line(3, grant_id=one, settings=TOKEN)) == []
    items = await by_line(ctx, second)
    assert items[2].settled_at is None
    assert (items[3].grant_id, items[3].outcome, items[3].secret) == (one, Outcome.SKIPPED, None)
    assert items[3].reason == f"it is in campaign {first.id} that runs"


async def test_two_lists_at_the_same_time_have_each_grant_open_once(ctx: Context, sim: Running) -> None:
    grants = await known(ctx, sim, 40)
    campaigns = [await a_campaign(ctx) for _ in range(2)]
    lines = [Line(number, grant_id=grant_id) for number, grant_id in enumerate(grants, 2)]
    told = await asyncio.gather(
        written(ctx, campaigns[0], *lines[:30]), written(ctx, campaigns[1], *reversed(lines[10:]))
    )
    assert told == [[], []]
    items = [item for campaign in campaigns for item in await the_items(ctx, campaign.id)]
    assert len(items) == 60
    assert sorted(str(item.grant_id) for item in items if item.settled_at is None) == sorted(grants)


async def test_another_applications_grants_are_no_grants_of_ours(ctx: Context, sim: Running) -> None:
    [one] = await known(ctx, sim)
    other = replace(ctx, application_id=new_id())
    campaign = await a_campaign(ctx)
    [bad] = await written(other, campaign, Line(2, grant_id=one))
    assert bad.reason.startswith("no grant of ours has this id")


async def test_a_part_is_of_a_thousand_lines_at_most(ctx: Context, sim: Running) -> None:
    grants = await known(ctx, sim, 3)
    campaign = await a_campaign(ctx)
    lines = [Line(n, email=f"u{n}@example.com", provider="google", settings=TOKEN) for n in range(2, MOST_LINES)]
    lines += [Line(MOST_LINES, grant_id=grants[0]), Line(MOST_LINES + 1, grant_id=grants[1])]
    assert await written(ctx, campaign, *lines[1:]) == []
    with pytest.raises(ValueError, match="at most 1000 lines"):
        await written(ctx, campaign, *lines, Line(5000, grant_id=grants[2]))
    async with ctx.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(CampaignItem)) == MOST_LINES - 1


async def keep(ctx: Context, mailboxes: Sequence[tuple[str, str]], settings: OwnSettings) -> None:
    """Put the same settings into the vault for some mailboxes."""
    async with ctx.database.writing() as session:
        for provider, email in mailboxes:
            row = VaultSecret(
                application_id=ctx.application_id,
                provider=provider,
                email=email,
                way=way_of(settings),
                secret="",
                created_at=ctx.now(),
            )
            ctx.keys.seal(row, "secret", as_text(settings))
            session.add(row)


async def test_the_vault_gives_what_it_has_for_these_mailboxes(ctx: Context) -> None:
    await keep(ctx, [("google", "ada@example.com"), ("google", "bob@example.com")], TOKEN)
    await keep(ctx, [("imap", "ada@example.com")], ACCOUNT)
    asked = [("google", "Ada@Example.com"), ("imap", "ada@example.com"), ("google", "eve@example.com")]
    async with ctx.database.reading() as session:
        assert await from_vault(session, ctx, []) == {}
        assert await from_vault(session, ctx, asked) == {
            ("google", "ada@example.com"): TOKEN,
            ("imap", "ada@example.com"): ACCOUNT,
        }
    async with ctx.database.writing() as session:
        await note_use(session, ctx, asked, now=ctx.now())
    async with ctx.database.reading() as session:
        used = {(row.provider, row.email): row.used_at for row in await session.scalars(select(VaultSecret))}
    assert used == {
        ("google", "ada@example.com"): ctx.now(),
        ("imap", "ada@example.com"): ctx.now(),
        ("google", "bob@example.com"): None,
    }


async def test_what_the_vault_can_t_open_any_more_spoils_nothing_else(ctx: Context) -> None:
    await keep(replace(ctx, keys=Keyring([b"1" * 32])), [("google", "lost@example.com")], TOKEN)
    await keep(ctx, [("google", "ada@example.com")], TOKEN)
    async with ctx.database.reading() as session:
        kept = await from_vault(session, ctx, [("google", "lost@example.com"), ("google", "ada@example.com")])
    assert isinstance(kept["google", "lost@example.com"], Unsealable)
    assert kept["google", "ada@example.com"] == TOKEN


@pytest.mark.parametrize(
    "settings",
    [
        TOKEN,
        ACCOUNT,
        ICloud.model_validate({"username": "ada", "password": "HIDDEN"}),
        Ews.model_validate({"email": "ada@example.com", "ews_username": "ada", "ews_password": "HIDDEN"}),
    ],
)
def test_settings_come_back_as_they_were_written(settings: OwnSettings) -> None:
    assert from_text(as_text(settings)) == settings


@pytest.mark.parametrize("text", ["", "HIDDEN", "[1]", "7", "{}", '{"imap_username": "HIDDEN"}', '{"username": 1}'])
def test_what_are_no_settings_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError, match="these are no settings of a mailbox") as refused:
        from_text(text)
    assert "HIDDEN" not in str(refused.value)
