"""What Nylas is asked for each item: by a credential, a refresh token, or a mailbox' own account."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import CampaignItemData, GrantData, KnownConnector, VaultSecret, Way
from models.sealing import Unsealable
from nylas_api import BulkGrant, NylasError, ProviderSettings
from tasks.campaigns.choice import Skipped, way_of
from tasks.campaigns.lines import from_text
from tasks.context import Context
from tasks.looking import Look, seen

Kept = Mapping[tuple[str, str], VaultSecret]
"""What the vault has, by provider and address in lower case."""


async def kept_secrets(
    session: AsyncSession, ctx: Context, items: Sequence[CampaignItemData], grants: Mapping[str, GrantData]
) -> Kept:
    """Read what the vault has for those of the items that bring nothing along themselves."""
    mailboxes = {
        _mailbox(item, grants.get(item.grant_id or ""))
        for item in items
        if item.way in (Way.REFRESH, Way.IMAP) and item.secret is None
    }
    if not mailboxes:
        return {}
    mine = select(VaultSecret).where(
        col(VaultSecret.application_id) == ctx.application_id,
        col(VaultSecret.email).in_({email for _, email in mailboxes}),
    )
    return {(kept.provider, kept.email): kept for kept in await session.scalars(mine)}


def _mailbox(item: CampaignItemData, grant: GrantData | None) -> tuple[str, str]:
    provider = item.provider or (grant.provider if grant else "")
    return provider, (item.email or (grant.email if grant else None) or "").lower()


async def renew_item(
    ctx: Context, item: CampaignItemData, grant: GrantData | None, connectors: Mapping[str, KnownConnector], kept: Kept
) -> Look | Skipped | NylasError:
    """Authenticate the mailbox of an item anew: by Nylas' rule of one grant per email that renews its grant.

    Source: Nylas "Bulk authentication grants": one POST /v3/connect/custom for each mailbox.
    """
    provider, email = _mailbox(item, grant)
    if grant and grant.status is GrantStatus.DELETED:
        return Skipped("the grant was deleted")
    if item.way in (Way.REFRESH, Way.IMAP):
        return await _by_its_own(ctx, item, provider, kept.get((provider, email)))
    if item.credential_id and email:  # as its line in the list says
        address = item.email or (grant.email if grant else None) or email
        return await authenticate(ctx, provider, BulkGrant(email_address=address, credential_id=item.credential_id))
    if grant is None:
        return Skipped("it names no grant, and nothing to authenticate it by")
    return await renew(ctx, grant, connectors)


async def renew(
    ctx: Context, grant: GrantData, connectors: Mapping[str, KnownConnector]
) -> Look | Skipped | NylasError:
    """Renew a grant by its organisation's credential."""
    way = way_of(grant, connectors, in_vault=None, ask_users=False)
    if isinstance(way, Skipped):
        return way
    settings = BulkGrant(email_address=str(grant.email), credential_id=str(grant.credential_id))
    return await authenticate(ctx, grant.provider, settings)


async def _by_its_own(
    ctx: Context, item: CampaignItemData, provider: str, kept: VaultSecret | None
) -> Look | Skipped | NylasError:
    row = item if item.secret else kept
    if row is None:
        return Skipped("neither the list nor the vault has anything to authenticate it by")
    try:
        settings = from_text(ctx.keys.reveal(row, "secret"))
    except Unsealable as error:
        return Skipped(f"what it is authenticated by can't be opened: {error}")
    except ValueError as error:
        return Skipped(f"{error}: give them anew")
    return await authenticate(ctx, provider, settings)


async def authenticate(ctx: Context, provider: str, settings: ProviderSettings) -> Look | Skipped | NylasError:
    """Ask Nylas to authenticate a mailbox."""
    try:
        return seen(await ctx.nylas.auth.custom(provider=provider, settings=settings), just_authenticated=True)
    except NylasError as error:
        return error
    except ValueError as error:  # another provider's credential
        return Skipped(str(error))
