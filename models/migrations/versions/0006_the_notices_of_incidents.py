"""The index of what incidents hold leaves out the notices that none ever held: nearly all."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME, TABLE, COLUMNS = "ix_notice_incident_id", "notice", ["incident_id"]


def upgrade() -> None:
    held = sa.text("incident_id IS NOT NULL")
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, COLUMNS, sqlite_where=held, postgresql_where=held)


def downgrade() -> None:
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, COLUMNS)
