"""What a service is told of an erasure, and what is left of the person afterwards."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from service_kit.database import Database
from shared_events.contacts.erasure import ErasureStarted, ForgottenIdentity
from shared_events.envelope import Envelope
from shared_events.identity import WhatsAppId, released
from shared_events.services import ServiceName

from crm_testing.schemas import MigratedDatabase
from crm_testing.services import event_of, eventually

_COLUMNS = """
SELECT table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema = $1 AND data_type IN
    ('text', 'character varying', 'jsonb', 'json', 'bytea', 'ARRAY', 'uuid')
ORDER BY table_name, column_name
"""


async def traces_of(database: MigratedDatabase, tenant_id: str, traces: Sequence[str]) -> set[str]:
    """Where one of these texts stands in a row of this tenant's: `<table>.<column>`."""
    admin = await asyncpg.connect(
        database.admin_url, server_settings={"search_path": database.schema}
    )
    try:
        found = set()
        columns = await admin.fetch(_COLUMNS, database.schema)
        owned = {c["table_name"] for c in columns if c["column_name"] == "tenant_id"}
        for column in columns:
            table, name = column["table_name"], column["column_name"]
            text = (
                f"encode({name}, 'escape')" if column["data_type"] == "bytea" else f"{name}::text"
            )
            whose = "tenant_id = $2" if table in owned else "$2::text IS NOT NULL"
            statement = (
                f"SELECT true FROM {table} WHERE {whose}"  # noqa: S608 - names of the catalogue
                f" AND {text} LIKE ANY($1::text[]) LIMIT 1"
            )
            patterns = [f"%{trace}%" for trace in traces]
            if await admin.fetchval(statement, patterns, tenant_id):
                found.add(f"{table}.{name}")
    finally:
        await admin.close()
    return found


def erasure_of(
    service: ServiceName, tenant_id: str, contact_id: UUID, *identities: WhatsAppId, **said: Any
) -> Envelope[ErasureStarted]:
    """What this service is told of an erasure; of its aggregate's events, the last."""
    started = ErasureStarted(
        erasure_id=uuid4(),
        contact_id=contact_id,
        services=[service.name],
        identities=[
            ForgottenIdentity(
                kind=one.kind, value=one.value, next_contact_id=released(contact_id, one)
            )
            for one in identities
        ],
        erased_at=datetime.now(UTC),
        **said,
    )
    return event_of(tenant_id, started, seq=2**31)


async def until_erased(database: Database, envelope: Envelope[ErasureStarted]) -> dict[str, Any]:
    """What the service reports of that erasure, once it does."""

    async def reported() -> dict[str, Any] | None:
        async with database.tenant(envelope.tenant_id, read_only=True) as tx:
            payload: dict[str, Any] | None = await tx.fetchval(
                "SELECT payload FROM outbox_events WHERE event_type LIKE 'erasure.done_by%'"
                " AND payload ->> 'erasure_id' = $1",
                str(envelope.data.erasure_id),
            )
        return payload

    found: dict[str, Any] = await eventually(reported)
    return found
