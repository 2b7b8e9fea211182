"""The words by which customers opt out and in, as their companies set them."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0019"
down_revision = "0018"


def words(name: str) -> sa.Column[object]:
    return sa.Column(name, ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'"))


def upgrade() -> None:
    op.create_table(
        "opt_out_words",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        words("opting_out"),
        words("opting_in"),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    protect("opt_out_words")
