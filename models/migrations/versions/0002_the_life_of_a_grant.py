"""The life of a grant."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UNSETTLED = "settled_at IS NULL"
OUTCOMES = ("done", "ignored", "skipped", "failed", "cancelled", "set_aside")
GRANT_COLUMNS = (
    *("contact", "zone", "quarantined", "notices", "flaps"),
    *("recovered_at", "confirmed_at", "confirm_at", "expiry_seen_at"),
)


def work() -> list[sa.Column[object]]:
    """The columns of a row that is work."""
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("claim_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Enum(*OUTCOMES, name="outcome", native_enum=False, length=16), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
    ]


def index(name: str, table: str, columns: list[str], *, unique: bool = False, where: str | None = None) -> None:
    """Make an index, over the rows that fit the condition."""
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_api_token_application_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    op.create_table(
        "connector",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("active_credential_id", sa.String(length=128), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_connector_application_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connector")),
        sa.UniqueConstraint("application_id", "provider", name=op.f("uq_connector_application_id_provider")),
    )
    op.create_table(
        "endpoint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_endpoint_application_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint")),
    )
    op.create_table(
        "incident",
        *work(),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column(
            "scope",
            sa.Enum(
                "credential",
                "connector",
                "application",
                "key",
                "brake",
                "webhook",
                name="scope",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("grants", sa.Integer(), nullable=False),
        sa.Column("canary", sa.String(length=128), nullable=True),
        sa.Column("probed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_incident_application_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    index("ix_incident_due", "incident", ["due_at"], where=UNSETTLED)
    index("uq_incident_open", "incident", ["application_id", "scope", "subject"], unique=True, where=UNSETTLED)

    op.create_table(
        "retirement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "planned", "approved", "finished", "cancelled", name="retirementstatus", native_enum=False, length=16
            ),
            nullable=False,
        ),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_retirement_application_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retirement")),
    )
    op.create_table(
        "reauth_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_reauth_link_application_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_reauth_link_grant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reauth_link")),
    )
    index("ix_reauth_link_grant_id", "reauth_link", ["grant_id"])

    op.create_table(
        "retirement_item",
        *work(),
        sa.Column("retirement_id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_retirement_item_grant_id")),
        sa.ForeignKeyConstraint(["retirement_id"], ["retirement.id"], name=op.f("fk_retirement_item_retirement_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retirement_item")),
        sa.UniqueConstraint("retirement_id", "grant_id", name=op.f("uq_retirement_item_retirement_id_grant_id")),
    )
    index("ix_retirement_item_due", "retirement_item", ["due_at"], where=UNSETTLED)
    index("ix_retirement_item_grant_id", "retirement_item", ["grant_id"])

    op.create_table(
        "notice",
        *work(),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "grant.valid",
                "grant.expired",
                "grant.reauth_required",
                "grant.recovered",
                "grant.gap",
                "grant.deleted",
                "grant.unattended",
                "incident.opened",
                "incident.closed",
                "campaign.finished",
                "evergrant.test",
                name="noticekind",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("grant_id", sa.String(), nullable=True),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("transition_id", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "held_by",
            sa.Enum("confirmation", "incident", "brake", "quarantine", name="heldby", native_enum=False, length=16),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_notice_application_id")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_notice_campaign_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_notice_grant_id")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_notice_incident_id")),
        sa.ForeignKeyConstraint(["transition_id"], ["transition.id"], name=op.f("fk_notice_transition_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    index("ix_notice_due", "notice", ["due_at"], where=UNSETTLED)
    index("ix_notice_grant", "notice", ["grant_id", "seq"])
    index("ix_notice_incident_id", "notice", ["incident_id"])
    index(
        "uq_notice_open",
        "notice",
        ["grant_id", "kind"],
        unique=True,
        where="settled_at IS NULL AND grant_id IS NOT NULL",
    )

    op.create_table(
        "delivery",
        *work(),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.String(length=128), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"], name=op.f("fk_delivery_endpoint_id")),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_delivery_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("notice_id", "endpoint_id", name=op.f("uq_delivery_notice_id_endpoint_id")),
    )
    index("ix_delivery_due", "delivery", ["due_at"], where=UNSETTLED)
    index("ix_delivery_order", "delivery", ["endpoint_id", "grant_id", "seq"], where=UNSETTLED)

    with op.batch_alter_table("auth_session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("wanted_grant_id", sa.String(length=128), nullable=True))
        batch_op.add_column(sa.Column("link_id", sa.Uuid(), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_auth_session_link_id"), "reauth_link", ["link_id"], ["id"])

    with op.batch_alter_table("grant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expiry_seen_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("confirm_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("recovered_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("flaps", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("notices", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("quarantined", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("zone", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("contact", sa.String(length=320), nullable=True))
    # Who has expired already is confirmed by the next look.
    op.execute('UPDATE "grant" SET expiry_seen_at = as_of, confirm_at = as_of WHERE expired_at IS NOT NULL')


def downgrade() -> None:
    with op.batch_alter_table("grant") as batch_op:
        for column in GRANT_COLUMNS:
            batch_op.drop_column(column)
    with op.batch_alter_table("auth_session") as batch_op:
        batch_op.drop_constraint("fk_auth_session_link_id", type_="foreignkey")
        batch_op.drop_column("link_id")
        batch_op.drop_column("wanted_grant_id")
    for table in ("delivery", "notice", "retirement_item", "reauth_link", "retirement", "incident", "endpoint"):
        op.drop_table(table)
    op.drop_table("connector")
    op.drop_table("api_token")
