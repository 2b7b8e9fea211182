"""Who typed a number may have mistyped it: identities are typed or proved.

A typed one may lead to a contact that does not exist yet, so nothing refers to contacts any more.
Argentine numbers have one canonical form, with their 9.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column(
        "contact_identities",
        sa.Column("proved", sa.Boolean(), nullable=False, server_default=sa.text("true")),
    )
    op.drop_constraint("contact_identities_contact_id_fkey", "contact_identities")
    op.execute(
        """
        UPDATE contact_identities i SET canonical = '549' || substr(canonical, 3)
        WHERE kind = 'phone' AND canonical ~ '^54[1-8][0-9]{9}$' AND NOT EXISTS (
            SELECT 1 FROM contact_identities o WHERE o.tenant_id = i.tenant_id
            AND o.kind = 'phone' AND o.canonical = '549' || substr(i.canonical, 3))
        """
    )
