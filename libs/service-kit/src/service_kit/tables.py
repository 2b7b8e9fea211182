"""The plumbing tables every service has in its own schema.

`plumbing(metadata)` describes them for migrations and drift tests; `ddl` creates them.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

_NOW = text("now()")
_RANDOM = text("gen_random_uuid()")


def plumbing(metadata: MetaData) -> list[Table]:
    """Add outbox_events, processed_events and command_replies to a service's metadata."""
    pending = text("processed_at IS NULL AND failed_at IS NULL")
    retried = text("processed_at IS NULL AND failed_at IS NULL AND retry_count > 0")
    outbox = Table(
        "outbox_events",
        metadata,
        Column("id", Uuid, primary_key=True, server_default=_RANDOM),
        Column("seq", BigInteger, Identity(always=True), nullable=False, unique=True),
        Column("event_id", Uuid, nullable=False, unique=True),
        Column("event_type", String(100), nullable=False),
        Column("aggregate_id", Uuid, nullable=False),
        Column("aggregate_type", String(100), nullable=False),
        Column("event_version", String(20), nullable=False),
        Column("payload", JSONB, nullable=False),
        Column("tenant_id", String(255), nullable=False),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("processed_at", DateTime(timezone=True)),
        Column("failed_at", DateTime(timezone=True)),
        Column("retry_count", Integer, nullable=False, server_default=text("0")),
        Column("next_attempt_at", DateTime(timezone=True)),
        Column("error_message", Text),
        Column("correlation_id", String(255)),
        Column("causation_id", Uuid),
        Column("trace_context", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    Index("idx_outbox_pending", outbox.c.seq, postgresql_where=pending)
    # What the relay must hold back: successors of an event that waits for its next attempt.
    Index("idx_outbox_retried", outbox.c.aggregate_id, outbox.c.seq, postgresql_where=retried)
    Index(
        "idx_outbox_failed",
        outbox.c.failed_at,
        outbox.c.retry_count,
        postgresql_where=text("failed_at IS NOT NULL"),
    )
    Index(
        "idx_outbox_processed",
        outbox.c.processed_at,
        postgresql_where=text("processed_at IS NOT NULL"),
    )
    inbox = Table(
        "processed_events",
        metadata,
        Column("id", Uuid, primary_key=True, server_default=_RANDOM),
        Column("event_id", Uuid, nullable=False),
        Column("consumer_name", String(255), nullable=False),
        Column("processed_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        # NULL by design: the row is inserted before the effect, so its
        # duration would be a second write of every row. One UPDATE per batch, measured, took a
        # quarter of a consumer's throughput; `message_processing_duration_seconds` is free.
        Column("duration_ms", Integer),
    )
    Index("idx_processed_events_unique", inbox.c.event_id, inbox.c.consumer_name, unique=True)
    Index("idx_processed_events_age", inbox.c.processed_at)
    replies = Table(
        "command_replies",
        metadata,
        Column("tenant_id", String(255), primary_key=True),
        Column("caller", String(255), primary_key=True),
        Column("idempotency_key", String(255), primary_key=True),
        Column("request_hash", String(64), nullable=False),
        Column("reply", JSONB, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    Index("idx_command_replies_age", replies.c.created_at)
    return [outbox, inbox, replies]


def erasure_tasks(metadata: MetaData) -> Table:
    """Add the erasures a service was told of (`service_kit.erasing`) to its metadata.

    `traces`, by which is searched, is emptied when the erasure is done.
    """
    tasks = Table(
        "erasure_tasks",
        metadata,
        Column("tenant_id", String(255), primary_key=True),
        Column("erasure_id", Uuid, primary_key=True),
        Column("contact_id", Uuid, nullable=False),
        Column("traces", JSONB, nullable=False),
        Column("erased", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("erased_at", DateTime(timezone=True), nullable=False),
        Column("correlation_id", String(255)),
        Column("causation_id", Uuid),
        Column("next_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        Column("done_at", DateTime(timezone=True)),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    open_ = text("done_at IS NULL")
    Index("idx_erasure_tasks_due", tasks.c.next_at, postgresql_where=open_)
    return tasks


def erased_identities(metadata: MetaData) -> Table:
    """Add who comes after erased people (`service_kit.forgotten`) to a service's metadata."""
    return Table(
        "erased_identities",
        metadata,
        Column("tenant_id", String(255), primary_key=True),
        Column("digest", String(64), primary_key=True),
        Column("next_contact_id", Uuid, nullable=False),
        Column("erased_at", DateTime(timezone=True), nullable=False),
    )
