"""Mails that wait, resets of forgotten passwords, and the language of a person."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0006"
down_revision = "0005"


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
    )


def upgrade() -> None:
    """A table of its own and nullable columns: what runs meanwhile knows nothing of them."""
    op.add_column("users", sa.Column("language", sa.String(10)))
    op.add_column("users", sa.Column("reset_hash", sa.String(64)))
    op.add_column("users", sa.Column("reset_expires_at", sa.DateTime(timezone=True)))
    op.create_unique_constraint("users_reset_hash_key", "users", ["reset_hash"])
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        _moment("next_attempt_at"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("created_at"),
    )
    op.create_index("idx_mails_user", "mails", ["tenant_id", "user_id"])
    op.create_index("idx_mails_next", "mails", ["next_attempt_at"])
    protect("mails")
    # Whoever has a free hand sends what is due, of all tenants.
    allow_scope("mails", "mail")
