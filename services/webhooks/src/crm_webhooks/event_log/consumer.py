"""Writes every domain event into the log, a batch at a time, at the end of its tenant's feed."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import orjson
from service_kit.database import Transaction
from service_kit.errors import PoisonError
from service_kit.incoming import Incoming
from service_kit.rows import Rows
from shared_events.contacts.erasure import ErasureStarted

from crm_webhooks.deliveries.trace import trace_headers
from crm_webhooks.event_log import holders, retention
from crm_webhooks.event_log.models import LoggedEvent

_LOG = Rows(LoggedEvent)
# In the order of tenants, as everybody locks them: two batches may have the same ones.
_EXTEND = """
INSERT INTO event_log_heads AS head (tenant_id, seq)
SELECT tenant_id, events FROM unnest($1::text[], $2::bigint[]) AS new(tenant_id, events)
ORDER BY tenant_id
ON CONFLICT (tenant_id) DO UPDATE SET seq = head.seq + excluded.seq
RETURNING tenant_id, seq
"""


async def log_events(tx: Transaction, events: Sequence[Incoming[Any]]) -> None:
    """Keep each event as it was published. Raises PoisonError when one cannot be read.

    One that is known already keeps its place; the new one is left empty.
    """
    told = Counter(event.tenant_id for event in events)
    heads = await tx.fetch(_EXTEND, list(told), list(told.values()))
    places = {head["tenant_id"]: count(head["seq"] - told[head["tenant_id"]] + 1) for head in heads}
    rows = [_logged(event, next(places[event.tenant_id])) for event in events]
    await _LOG.insert(tx, rows, unless="(event_id)")
    await holders.follow(tx, rows)
    await retention.follow(tx, rows)


def _kept(event_type: str, data: Any) -> Any:
    """What an event said; whom to erase is kept nowhere (docs/adr/0022)."""
    return {**data, "identities": []} if event_type == ErasureStarted.event_type else data


def _message_of(data: Any) -> UUID | None:
    """The message that an event is about, by the names that all events have for it."""
    try:
        return UUID(data["message"]["id"] if "message" in data else data["message_id"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _logged(event: Incoming[Any], seq: int) -> LoggedEvent:
    try:
        envelope = orjson.loads(event.body)
        trace = trace_headers(
            envelope.get("correlation_id"), event.cause.trace_context.get("traceparent")
        )
        causation_id = envelope.get("causation_id")
        return LoggedEvent.model_construct(
            event_id=event.id,
            event_type=envelope["event_type"],
            aggregate_id=UUID(envelope["aggregate_id"]),
            aggregate_type=envelope["aggregate_type"],
            tenant_id=event.tenant_id,
            payload=_kept(envelope["event_type"], envelope["data"]),
            occurred_at=datetime.fromisoformat(envelope["occurred_at"]).astimezone(UTC),
            seq=seq,
            correlation_id=trace.get("X-Request-Id"),
            causation_id=UUID(causation_id) if causation_id else None,
            traceparent=trace.get("traceparent"),
            message_id=_message_of(envelope["data"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PoisonError("invalid_event", type(error).__name__) from None
