"""Indexes for what is read again and again, however many grants there are."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Name, table, columns, and which rows are in it.
INDEXES: list[tuple[str, str, list[str], str | None]] = [
    ("ix_grant_page", "grant", ["application_id", "status", "id"], None),
    ("ix_grant_expiry_seen_at", "grant", ["expiry_seen_at"], "expiry_seen_at IS NOT NULL"),
    ("ix_grant_credential_id", "grant", ["credential_id"], "credential_id IS NOT NULL"),
    ("ix_notice_settled_at", "notice", ["settled_at"], "settled_at IS NOT NULL"),
    ("ix_campaign_item_settled_at", "campaign_item", ["campaign_id", "settled_at"], "settled_at IS NOT NULL"),
    ("ix_campaign_item_secret", "campaign_item", ["settled_at"], "secret IS NOT NULL"),
    ("ix_auth_session_grant_id", "auth_session", ["grant_id"], "grant_id IS NOT NULL"),
    ("ix_auth_session_wanted_grant_id", "auth_session", ["wanted_grant_id"], "wanted_grant_id IS NOT NULL"),
]


def upgrade() -> None:
    for name, table, columns, which in INDEXES:
        condition = sa.text(which) if which else None
        op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
    # Addresses are looked up in whatever case they come.
    op.create_index("ix_grant_email_lower", "grant", [sa.text("lower(email)")])
    op.drop_index("ix_grant_email", table_name="grant")


def downgrade() -> None:
    op.create_index("ix_grant_email", "grant", ["email"])
    op.drop_index("ix_grant_email_lower", table_name="grant")
    for name, table, _columns, _which in reversed(INDEXES):
        op.drop_index(name, table_name=table)
