"""Who typed a number may have mistyped it; Argentine numbers have one canonical form."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column(
        "identity_refs",
        sa.Column("proved", sa.Boolean(), nullable=False, server_default=sa.text("true")),
    )
    op.execute(
        """
        UPDATE identity_refs i SET canonical = '549' || substr(canonical, 3)
        WHERE kind = 'phone' AND canonical ~ '^54[1-8][0-9]{9}$' AND NOT EXISTS (
            SELECT 1 FROM identity_refs o WHERE o.tenant_id = i.tenant_id
            AND o.kind = 'phone' AND o.canonical = '549' || substr(i.canonical, 3))
        """
    )
