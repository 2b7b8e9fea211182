"""Channels, raw events, hidden ids and the outbound ledger."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, create_plumbing, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

NOW = sa.text("now()")
ZERO = sa.text("0")


def moment(name: str, *, default: bool = True) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=not default,
        server_default=NOW if default else None,
    )


def upgrade() -> None:
    create_plumbing("channels_waha")
    channels()
    inbound()
    outbound()
    for table in ("channels", "raw_events", "lid_refs", "outbound_messages"):
        protect(table)
    allow_scope("channels", "status")
    allow_scope("lid_refs", "lids")
    allow_scope("outbound_messages", "send")
    allow_scope("raw_events", "purge")


def channels() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("type", sa.String(50), nullable=False),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("status_reason", sa.Text),
        sa.Column("phone", sa.String(50)),
        sa.Column("waha_base_url", sa.Text, nullable=False),
        sa.Column("waha_session", sa.String(54), nullable=False),
        sa.Column("waha_api_key_encrypted", sa.Text, nullable=False),
        sa.Column("key_generation", sa.SmallInteger, nullable=False, server_default=ZERO),
        sa.Column("session_timeout_seconds", sa.Integer, nullable=False),
        sa.Column("allow_groups", sa.Boolean, nullable=False),
        sa.Column("engine", sa.String(50)),
        sa.Column("waha_status", sa.String(100)),
        moment("waha_status_at", default=False),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", default=False),
    )
    op.create_index("idx_channels_tenant", "channels", ["tenant_id", "id"])
    op.create_index(
        "idx_channels_waha_session",
        "channels",
        ["tenant_id", "waha_base_url", "waha_session"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "idx_channels_starting",
        "channels",
        ["updated_at"],
        postgresql_where=sa.text("waha_status = 'STARTING' AND status = 'connected'"),
    )


def inbound() -> None:
    op.create_table(
        "raw_events",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("event", sa.String(100), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        moment("received_at"),
    )
    op.create_index(
        "idx_raw_events_channel", "raw_events", ["tenant_id", "channel_id", "received_at"]
    )
    op.create_index("idx_raw_events_age", "raw_events", ["received_at"])
    op.create_table(
        "lid_refs",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("lid", sa.String(50), primary_key=True),
        sa.Column("phone", sa.String(50)),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("lookups", sa.SmallInteger, nullable=False, server_default=ZERO),
        moment("next_lookup_at"),
        moment("created_at"),
    )
    op.create_index(
        "idx_lid_refs_unresolved",
        "lid_refs",
        ["next_lookup_at"],
        postgresql_where=sa.text("phone IS NULL"),
    )


def outbound() -> None:
    op.create_table(
        "outbound_messages",
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("chat_id", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(50), nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("media_url", sa.Text),
        sa.Column("media_mime_type", sa.String(255)),
        sa.Column("reply_to_external_id", sa.String(255)),
        sa.Column("state", sa.String(20), nullable=False, server_default=sa.text("'pending'")),
        sa.Column("external_id", sa.String(255)),
        sa.Column("attempts", sa.SmallInteger, nullable=False, server_default=ZERO),
        sa.Column("failures", sa.SmallInteger, nullable=False, server_default=ZERO),
        moment("next_attempt_at", default=False),
        moment("sending_at", default=False),
        sa.Column("reason", sa.Text),
        sa.Column("correlation_id", sa.String(255)),
        sa.Column("causation_id", sa.Uuid),
        sa.Column("trace_context", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        moment("created_at"),
        moment("updated_at"),
    )
    op.create_index(
        "idx_outbound_messages_message", "outbound_messages", ["message_id"], unique=True
    )
    op.create_index(
        "idx_outbound_messages_external",
        "outbound_messages",
        ["channel_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index(
        "idx_outbound_messages_open",
        "outbound_messages",
        ["channel_id", "chat_id", "seq"],
        postgresql_where=sa.text("state IN ('pending', 'sending', 'unknown')"),
    )
    op.create_index(
        "idx_outbound_messages_without_id",
        "outbound_messages",
        ["channel_id", "created_at"],
        postgresql_where=sa.text("external_id IS NULL"),
    )
