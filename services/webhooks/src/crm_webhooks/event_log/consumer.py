"""Writes every domain event into the log, one insert per batch."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from service_kit.database import Transaction
from service_kit.errors import PoisonError
from service_kit.incoming import Incoming

_INSERT = """
INSERT INTO domain_event_log (tenant_id, event_id, event_type, aggregate_id, aggregate_type,
    payload, occurred_at)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::jsonb[],
    $7::timestamptz[])
ON CONFLICT DO NOTHING
"""


async def log_events(tx: Transaction, events: Sequence[Incoming[Any]]) -> None:
    """Keep each event as it was published. Raises PoisonError when one cannot be read."""
    try:
        envelopes = [orjson.loads(event.body) for event in events]
        columns: list[list[Any]] = [
            [event.id for event in events],
            [envelope["event_type"] for envelope in envelopes],
            [UUID(envelope["aggregate_id"]) for envelope in envelopes],
            [envelope["aggregate_type"] for envelope in envelopes],
            [envelope["data"] for envelope in envelopes],
            [
                datetime.fromisoformat(envelope["occurred_at"]).astimezone(UTC)
                for envelope in envelopes
            ],
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise PoisonError("invalid_event", type(error).__name__) from None
    await tx.execute(_INSERT, tx.tenant_id, *columns)
