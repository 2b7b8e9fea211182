"""What a migration calls: the plumbing tables, and row-level security."""

from alembic import op
from sqlalchemy import MetaData

from service_kit.tables import plumbing


def create_plumbing(schema: str) -> None:
    """Create the plumbing tables (for a service's first migration)."""
    for table in plumbing(MetaData(schema=schema)):
        table.create(op.get_bind())
    protect("outbox_events")
    protect("command_replies")
    allow_scope("outbox_events", "relay")
    allow_scope("outbox_events", "purge")
    allow_scope("command_replies", "purge")
    op.execute(
        "ALTER TABLE outbox_events SET "
        "(autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)"
    )


def protect(table: str) -> None:
    """Row-level security: a row is seen and written only by its own tenant, owner included."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} "
        "USING (tenant_id = current_setting('app.tenant_id', true))"
    )


def allow_scope(table: str, scope: str) -> None:
    """Let one named system task (`Database.system(scope)`) work across tenants on this table."""
    op.execute(
        f"CREATE POLICY scope_{scope} ON {table} "
        f"USING (current_setting('app.scope', true) = '{scope}')"
    )
