"""The index of notices that are due leaves out those that are held: an incident may hold one for each grant."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME, TABLE, COLUMNS = "ix_notice_due", "notice", ["due_at"]


def upgrade() -> None:
    free = sa.text("settled_at IS NULL AND held_by IS NULL")
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, COLUMNS, sqlite_where=free, postgresql_where=free)


def downgrade() -> None:
    unsettled = sa.text("settled_at IS NULL")
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, COLUMNS, sqlite_where=unsettled, postgresql_where=unsettled)
