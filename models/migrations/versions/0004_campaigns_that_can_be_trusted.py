"""Campaigns that can be paused, paced and stopped; mailboxes of no grant yet; schedules, tags and the vault."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UNSETTLED = "settled_at IS NULL"
WAYS = ("credential", "refresh_token", "imap", "hosted")
NO_DEADLINE = str(2**40)
CAMPAIGN_COLUMNS = (
    *("fired_for", "schedule_id", "paced_until", "served_at", "idempotency_key", "reason"),
    *("ask_users", "max_failures", "rate", "actor", "source"),
)
ITEM_COLUMNS = ("cause", "secret", "line", "credential_id", "provider", "email", "rank", "way")


def index(name: str, columns: list[str], *, unique: bool = False, where: str | None = None) -> None:
    """Make an index on the items, over those that fit the condition."""
    condition = sa.text(where) if where else None
    op.create_index(name, "campaign_item", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("cron", sa.String(length=128), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fired_for", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_schedule_application_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    alive, waits = sa.text("removed_at IS NULL"), sa.text("removed_at IS NULL AND paused_at IS NULL")
    op.create_index(
        *("uq_schedule_name", "schedule", ["application_id", "name"]),
        unique=True,
        sqlite_where=alive,
        postgresql_where=alive,
    )
    op.create_index("ix_schedule_due", "schedule", ["next_at"], sqlite_where=waits, postgresql_where=waits)
    op.create_table(
        "vault_secret",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("way", sa.Enum(*WAYS, name="way", native_enum=False, length=16), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_vault_secret_application_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault_secret")),
        sa.UniqueConstraint(
            *("application_id", "provider", "email"), name=op.f("uq_vault_secret_application_id_provider_email")
        ),
    )
    op.create_table(
        "grant_tag",
        sa.Column("grant_id", sa.String(length=128), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_grant_tag_grant_id")),
        sa.PrimaryKeyConstraint("grant_id", "tag", name=op.f("pk_grant_tag")),
    )
    op.create_index(op.f("ix_grant_tag_tag"), "grant_tag", ["tag"])
    with op.batch_alter_table("campaign") as batch_op:
        batch_op.add_column(sa.Column("source", sa.String(length=16), nullable=False, server_default="cli"))
        batch_op.add_column(sa.Column("actor", sa.String(length=128), nullable=True))
        batch_op.add_column(sa.Column("rate", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("max_failures", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("ask_users", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("reason", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("idempotency_key", sa.String(length=128), nullable=True))
        batch_op.add_column(sa.Column("served_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("paced_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("schedule_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("fired_for", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(op.f("fk_campaign_schedule_id"), "schedule", ["schedule_id"], ["id"])
        batch_op.create_unique_constraint(
            op.f("uq_campaign_application_id_idempotency_key"), ["application_id", "idempotency_key"]
        )
    with op.batch_alter_table("campaign") as batch_op:
        batch_op.alter_column("source", server_default=None)
        batch_op.alter_column("ask_users", server_default=None)
    op.create_index("ix_campaign_status", "campaign", ["application_id", "status"])
    op.create_index(op.f("ix_campaign_schedule_id"), "campaign", ["schedule_id"])

    with op.batch_alter_table("campaign_item") as batch_op:
        batch_op.alter_column("grant_id", existing_type=sa.String(), nullable=True)
        batch_op.add_column(sa.Column("way", sa.Enum(*WAYS, name="way", native_enum=False, length=16), nullable=True))
        batch_op.add_column(sa.Column("rank", sa.BigInteger(), nullable=False, server_default=NO_DEADLINE))
        batch_op.add_column(sa.Column("email", sa.String(length=320), nullable=True))
        batch_op.add_column(sa.Column("provider", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("credential_id", sa.String(length=128), nullable=True))
        batch_op.add_column(sa.Column("line", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("secret", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("cause", sa.String(length=128), nullable=True))
        batch_op.create_unique_constraint(op.f("uq_campaign_item_campaign_id_line"), ["campaign_id", "line"])
    with op.batch_alter_table("campaign_item") as batch_op:
        batch_op.alter_column("rank", server_default=None)
    # A grant may be open in one campaign only from now on: the first one that asked for it keeps it.
    op.execute(
        "UPDATE campaign_item SET settled_at = CURRENT_TIMESTAMP, outcome = 'skipped', "
        "claim_token = NULL, lease_until = NULL, reason = 'it is in another campaign that runs' "
        "WHERE settled_at IS NULL AND EXISTS (SELECT 1 FROM campaign_item AS first WHERE first.settled_at IS NULL "
        "AND first.grant_id = campaign_item.grant_id AND first.id < campaign_item.id)"
    )
    index("ix_campaign_item_next", ["campaign_id", "rank", "id"], where=UNSETTLED)
    index("ix_campaign_item_ended", ["campaign_id", "outcome", "cause"])
    index("uq_campaign_item_open", ["grant_id"], unique=True, where=f"{UNSETTLED} AND grant_id IS NOT NULL")


def downgrade() -> None:
    for name in ("uq_campaign_item_open", "ix_campaign_item_ended", "ix_campaign_item_next"):
        op.drop_index(name, table_name="campaign_item")
    op.execute("DELETE FROM campaign_item WHERE grant_id IS NULL")
    with op.batch_alter_table("campaign_item") as batch_op:
        batch_op.drop_constraint(op.f("uq_campaign_item_campaign_id_line"), type_="unique")
        for column in ITEM_COLUMNS:
            batch_op.drop_column(column)
        batch_op.alter_column("grant_id", existing_type=sa.String(), nullable=False)
    op.drop_index(op.f("ix_campaign_schedule_id"), table_name="campaign")
    op.drop_index("ix_campaign_status", table_name="campaign")
    with op.batch_alter_table("campaign") as batch_op:
        batch_op.drop_constraint(op.f("uq_campaign_application_id_idempotency_key"), type_="unique")
        batch_op.drop_constraint(op.f("fk_campaign_schedule_id"), type_="foreignkey")
        for column in CAMPAIGN_COLUMNS:
            batch_op.drop_column(column)
    for table in ("grant_tag", "vault_secret", "schedule"):
        op.drop_table(table)
