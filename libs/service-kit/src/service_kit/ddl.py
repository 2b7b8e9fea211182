"""What a migration calls: the plumbing tables, and row-level security."""

from collections.abc import Sequence
from typing import Any

from alembic import op
from sqlalchemy import ColumnElement, MetaData, TextClause, text

from service_kit.tables import erased_identities, erasure_tasks, plumbing

# A list, mostly of one. As a sub-select it is read once a statement, not once a row.
_SETTING = "current_setting('app.tenant_id', true)"
_THEM = f"(SELECT string_to_array({_SETTING}, ','))::text[]"
_OURS = f"tenant_id = ANY ({_THEM})"


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


def create_erasure_tasks(schema: str) -> None:
    """Create the table of `service_kit.erasing`."""
    erasure_tasks(MetaData(schema=schema)).create(op.get_bind())
    protect("erasure_tasks")
    allow_scope("erasure_tasks", "erase")


def create_erased_identities(schema: str) -> None:
    """Create the table of `service_kit.forgotten`."""
    erased_identities(MetaData(schema=schema)).create(op.get_bind())
    protect("erased_identities")


def protect(table: str) -> None:
    """Row-level security: a row is seen and written only by its own tenant, owner included.

    Again where a migration that builds indexes beside its transaction is run again.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"DROP POLICY IF EXISTS tenant ON {table}")
    op.execute(f"CREATE POLICY tenant ON {table} USING ({_OURS})")


def confine_to_many(schema: str) -> None:
    """Let transactions act for several tenants at once, on all tables of before."""
    tables = op.get_bind().execute(
        text(
            "SELECT tablename FROM pg_policies WHERE schemaname = :schema AND policyname = 'tenant'"
        ),
        {"schema": schema},
    )
    for (table,) in tables.all():
        op.execute(f"ALTER POLICY tenant ON {schema}.{table} USING ({_OURS})")


def presume_named(table: str) -> None:
    """The policy of `protect` in words that planners take for true, and that no index fits.

    For tables whose statements all name the company. Said twice it counts twice: a few rows of a
    list seem to be left, and all are sorted rather than some walked (docs/adr/0040).
    """
    op.execute(
        f"ALTER POLICY tenant ON {table} USING "
        f"(array_position({_THEM}, tenant_id::text) IS NOT NULL)"
    )


def allow_scope(table: str, scope: str) -> None:
    """Let one named system task (`Database.system(scope)`) work across tenants on this table."""
    op.execute(
        f"CREATE POLICY scope_{scope} ON {table} "
        f"USING (current_setting('app.scope', true) = '{scope}')"
    )


def trust_owner(table: str) -> None:
    """Let functions of the owner's read all rows of this table: they say whose they want.

    Row-level security asks an index nothing that a function not marked leakproof would answer,
    and LIKE is none. A SECURITY DEFINER function reads as the owner; this policy has nothing left
    to check once it is planned, so that its conditions come first (docs/adr/0025). The runtime
    role gains nothing by it but what such a function gives out.
    """
    op.execute(f"DROP POLICY IF EXISTS owner ON {table}")
    op.execute(f"CREATE POLICY owner ON {table} FOR SELECT TO CURRENT_USER USING (true)")


def build_index(
    name: str,
    table: str,
    columns: Sequence[str | TextClause | ColumnElement[Any]],
    **options: Any,
) -> None:
    """Build an index while others write; to be called in an autocommit block.

    Anew where there is one: a build that was broken off leaves it behind, of no use to anybody.
    """
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    op.create_index(name, table, columns, postgresql_concurrently=True, **options)


def run(statement: str, **values: object) -> Sequence[Any]:
    """Run a statement of those that fill in rows of before; returns the rows it gives, if any."""
    result = op.get_bind().execute(text(statement), values)
    return result.all() if result.returns_rows else ()
