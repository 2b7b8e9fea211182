"""Writes every domain event into the log, one insert per batch."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from service_kit.database import Transaction
from service_kit.errors import PoisonError
from service_kit.incoming import Incoming
from service_kit.rows import Rows

from crm_webhooks.event_log.models import LoggedEvent

_LOG = Rows(LoggedEvent)


async def log_events(tx: Transaction, events: Sequence[Incoming[Any]]) -> None:
    """Keep each event as it was published. Raises PoisonError when one cannot be read."""
    rows = [_logged(event) for event in events]
    await _LOG.insert(tx, rows, unless="(event_id)")


def _logged(event: Incoming[Any]) -> LoggedEvent:
    try:
        envelope = orjson.loads(event.body)
        return LoggedEvent.model_construct(
            event_id=event.id,
            event_type=envelope["event_type"],
            aggregate_id=UUID(envelope["aggregate_id"]),
            aggregate_type=envelope["aggregate_type"],
            tenant_id=event.tenant_id,
            payload=envelope["data"],
            occurred_at=datetime.fromisoformat(envelope["occurred_at"]).astimezone(UTC),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PoisonError("invalid_event", type(error).__name__) from None
