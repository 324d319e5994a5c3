"""When all grants were imported first, and what else the life of a grant needs to remember."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("application") as batch_op:
        batch_op.add_column(sa.Column("imported_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("auth_session") as batch_op:
        batch_op.add_column(sa.Column("wanted_user_id", sa.String(length=255), nullable=True))
    with op.batch_alter_table("endpoint") as batch_op:
        batch_op.add_column(sa.Column("rests_until", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("delivery") as batch_op:
        batch_op.add_column(sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_transition_at", "transition", ["at"])
    # An installation that holds grants has imported them before: what expires from now on is news.
    op.execute(
        "UPDATE application SET imported_at = updated_at "
        'WHERE EXISTS (SELECT 1 FROM "grant" WHERE "grant".application_id = application.id)'
    )


def downgrade() -> None:
    with op.batch_alter_table("delivery") as batch_op:
        batch_op.drop_column("since")
    with op.batch_alter_table("endpoint") as batch_op:
        batch_op.drop_column("rests_until")
    op.drop_index("ix_transition_at", table_name="transition")
    with op.batch_alter_table("auth_session") as batch_op:
        batch_op.drop_column("wanted_user_id")
    with op.batch_alter_table("application") as batch_op:
        batch_op.drop_column("imported_at")
