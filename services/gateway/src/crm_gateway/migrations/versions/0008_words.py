"""The words by which a company's customers opt out and in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """There are none, until a company says otherwise."""
    for name in ("opt_out_words", "opt_in_words"):
        none = sa.text("'{}'")
        op.add_column(
            "projects", sa.Column(name, ARRAY(sa.Text), nullable=False, server_default=none)
        )
