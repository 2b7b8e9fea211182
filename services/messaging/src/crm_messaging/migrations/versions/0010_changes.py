"""What messages said before they were edited, reactions, changes that came before their message."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"

NOW = sa.text("now()")


def moment(name: str, *, key: bool = False, default: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        primary_key=key,
        nullable=False,
        server_default=NOW if default else None,
    )


def upgrade() -> None:
    op.add_column("messages", sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "messages",
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
    )
    op.create_table(
        "message_versions",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        moment("since", key=True),
        sa.Column("edit_id", sa.String(255), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("content", sa.Text),
        moment("created_at", default=True),
    )
    message_reactions()
    parked_changes()
    for table in ("message_versions", "message_reactions", "parked_changes"):
        protect(table)
    allow_scope("parked_changes", "sweep")


def message_reactions() -> None:
    op.create_table(
        "message_reactions",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("sender", sa.String(120), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("emoji", sa.String(50), nullable=False),
        sa.Column("by", sa.String(50), nullable=False),
        sa.Column("agent_id", sa.Uuid),
        sa.Column("participant", sa.String(120)),
        sa.Column("change_id", sa.Uuid),
        sa.Column("before", sa.String(50), nullable=False, server_default=sa.text("''")),
        moment("reacted_at"),
    )


def parked_changes() -> None:
    op.create_table(
        "parked_changes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("external_id", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("change_id", sa.String(255), nullable=False),
        sa.Column("from_us", sa.Boolean, nullable=False),
        sa.Column("author", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("content", sa.Text, nullable=False),
        moment("occurred_at"),
        moment("created_at", default=True),
    )
    op.create_index(
        "idx_parked_changes_message",
        "parked_changes",
        ["channel_id", "external_id", "kind", "change_id", "occurred_at"],
        unique=True,
    )
    op.create_index("idx_parked_changes_age", "parked_changes", ["created_at"])
