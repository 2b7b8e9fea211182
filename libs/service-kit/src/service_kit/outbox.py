"""The outbox: events written in the transaction of the change they tell of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from shared_events.envelope import EventData

from service_kit.cause import Cause

# One statement writes the transaction's events and wakes the relay once. `seq` follows the order
# of the arrays; row locks on the aggregates are already held, so it is also their commit order.
_INSERT = """
WITH written AS (
    INSERT INTO outbox_events (event_id, event_type, aggregate_id, aggregate_type, event_version,
        payload, tenant_id, occurred_at, correlation_id, causation_id, trace_context)
    SELECT e.event_id, e.event_type, e.aggregate_id, e.aggregate_type, e.event_version,
        e.payload, e.tenant_id, e.occurred_at, e.correlation_id, e.causation_id, e.trace_context
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[],
        $7::text[], $8::timestamptz[], $9::text[], $10::uuid[], $11::jsonb[])
        WITH ORDINALITY AS e(event_id, event_type, aggregate_id, aggregate_type, event_version,
        payload, tenant_id, occurred_at, correlation_id, causation_id, trace_context, place)
    ORDER BY e.place
    RETURNING 1
)
SELECT pg_notify('outbox_' || current_schema(), '') FROM written LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class _Pending:
    event_id: UUID
    data: EventData
    aggregate_id: UUID
    tenant_id: str | None
    occurred_at: datetime
    cause: Cause


Write = Callable[..., Awaitable[object]]
"""Runs a statement with its values in the transaction the events belong to."""


class Outbox:
    """The events of one transaction. They become visible with its commit, or not at all."""

    def __init__(self, cause: Cause) -> None:
        self._cause = cause
        self._pending: list[_Pending] = []

    def add(
        self,
        data: EventData,
        aggregate_id: UUID,
        *,
        tenant_id: str | None = None,
        cause: Cause | None = None,
        occurred_at: datetime | None = None,
    ) -> UUID:
        """Say that this happened. Returns the event id; `cause` defaults to the transaction's.

        So does `tenant_id`, where the transaction acts for one.
        """
        event_id = uuid4()
        self._pending.append(
            _Pending(
                event_id,
                data,
                aggregate_id,
                tenant_id,
                occurred_at or datetime.now(UTC),
                cause or self._cause,
            )
        )
        return event_id

    @property
    def pending(self) -> int:
        """How many events wait to be written."""
        return len(self._pending)

    async def write(self, tenant_id: str | None, run: Write) -> None:
        """Insert what was added; the transaction calls it before it commits.

        `tenant_id` is whose the events are that name none; RuntimeError when that is None.
        """
        pending, self._pending = self._pending, []
        if tenant_id is None and any(p.tenant_id is None for p in pending):
            raise RuntimeError("an event names no tenant, and the transaction acts for several")
        columns: list[list[Any]] = [
            [p.event_id for p in pending],
            [p.data.event_type for p in pending],
            [p.aggregate_id for p in pending],
            [p.data.aggregate_type for p in pending],
            [p.data.event_version for p in pending],
            [p.data.model_dump(mode="json") for p in pending],
            [p.tenant_id or tenant_id for p in pending],
            [p.occurred_at for p in pending],
            [p.cause.correlation_id for p in pending],
            [p.cause.causation_id for p in pending],
            [dict(p.cause.trace_context) for p in pending],
        ]
        await run(_INSERT, *columns)
