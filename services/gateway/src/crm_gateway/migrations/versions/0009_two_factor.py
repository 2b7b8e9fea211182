"""A second proof of who logs in: authenticators, and codes for the day one is lost."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0009"
down_revision = "0008"


def _of_user() -> tuple[sa.Column[object], sa.Column[object]]:
    return (
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
    )


def _created_at() -> sa.Column[object]:
    now = sa.text("now()")
    return sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=now)


def upgrade() -> None:
    """Tables of their own: gateways of before ask nobody for a code."""
    op.create_table(
        "authenticators",
        *_of_user(),
        sa.Column("sealed_secret", sa.Text, nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("last_step", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        _created_at(),
    )
    op.create_table(
        "recovery_codes",
        *_of_user(),
        sa.Column("code_hash", sa.String(64), primary_key=True),
        _created_at(),
    )
    protect("authenticators")
    protect("recovery_codes")
