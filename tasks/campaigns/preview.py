"""What a campaign would do, counted by the database: nothing is written, and a million grants are one query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import CampaignItem, Grant, VaultSecret, Way
from tasks.campaigns.choosing import GrantFilter
from tasks.connectors import by_its_own_credential

TAKEN = "they are in another campaign that runs"
NO_CREDENTIAL = "they have no credential: only their users can sign in again"
OAUTH_CLIENT = "their credential is the connector's own OAuth client: only their users can sign in again"
NO_EMAIL = "Nylas told no email address for them"


@dataclass(frozen=True, slots=True)
class Preview:
    """How many grants match, by what way how many of them go, and why how many can't."""

    ways: Mapping[Way, int]
    skipped: Mapping[str, int]

    @property
    def matching(self) -> int:
        """How many grants match."""
        return sum(self.ways.values()) + sum(self.skipped.values())

    @property
    def calls(self) -> int:
        """How many calls to Nylas that takes; for those whose users are asked, none."""
        return sum(number for way, number in self.ways.items() if way is not Way.HOSTED)

    def seconds(self, *, budget: float, rate: float | None) -> float | None:
        """Say how long the calls take, by the budget (calls a second; 0: no limit) and a pace below it."""
        paces = [pace for pace in (budget, rate or 0) if pace]
        return self.calls / min(paces) if paces else None

    def in_words(self, *, budget: float, rate: float | None) -> str:
        """The plan as a few sentences."""
        how = [f"{number} by {_called(way)}" for way, number in sorted(self.ways.items()) if number]
        text = f"{self.matching} grants match" + (f": {', '.join(how)}" if how else "")
        took = self.seconds(budget=budget, rate=rate)
        if took is not None and self.calls:
            pace = min(pace for pace in (budget, rate or 0) if pace)
            text += f", in about {took:.0f} s at {pace:g} calls a second"
        return ". ".join([text, *(f"{number} are skipped: {why}" for why, number in self.skipped.items())]) + "."


def _called(way: Way) -> str:
    return {
        Way.CREDENTIAL: "their credential",
        Way.REFRESH: "a refresh token",
        Way.IMAP: "their IMAP account",
        Way.HOSTED: "a link for their users",
    }[way]


async def preview(
    session: AsyncSession, application_id: UUID, wanted: GrantFilter, *, ask_users: bool, now: datetime
) -> Preview:
    """Count what a campaign over these grants would do, by the same rule as `choice.way_of`."""
    taken = (
        select(col(CampaignItem.id))
        .where(col(CampaignItem.grant_id) == col(Grant.id), col(CampaignItem.settled_at).is_(None))
        .exists()
    )
    in_vault = (
        select(col(VaultSecret.way))
        .where(
            col(VaultSecret.application_id) == application_id,
            col(VaultSecret.provider) == col(Grant.provider),
            col(VaultSecret.email) == func.lower(col(Grant.email)),
        )
        .scalar_subquery()
    )
    own = by_its_own_credential()
    by_user = [] if not ask_users else [(literal(True), literal(Way.HOSTED.value))]
    fate = case(
        (taken, literal(TAKEN)),
        (own & col(Grant.email).is_not(None), literal(Way.CREDENTIAL.value)),
        (in_vault == Way.REFRESH, literal(Way.REFRESH.value)),
        (in_vault == Way.IMAP, literal(Way.IMAP.value)),
        *by_user,
        (own, literal(NO_EMAIL)),
        (col(Grant.credential_id).is_not(None), literal(OAUTH_CLIENT)),
        else_=literal(NO_CREDENTIAL),
    ).label("fate")
    counted = select(fate, func.count()).where(wanted.matches(application_id, now)).group_by("fate")
    numbers = {row[0]: row[1] for row in await session.execute(counted)}
    known = {way.value: way for way in Way}
    return Preview(
        {known[name]: number for name, number in numbers.items() if name in known},
        {name: number for name, number in sorted(numbers.items()) if name not in known},
    )
