"""Endpoints whose deliveries are signed by ed25519 keys."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Secrets of before are shared ones. Code of before takes any for one: what it signs is refused
    by who has a public key, and tried again."""
    op.add_column("webhook_endpoints", sa.Column("public_key", sa.Text))
    signing = sa.Column("signing", sa.String(20), nullable=False, server_default=sa.text("'hmac'"))
    op.add_column("endpoint_secrets", signing)
