"""From a domain event to what is owed: one delivery per endpoint that wants it.

A batch of events is matched, stored and leased in the consumer's one transaction; after its commit
the deliveries go to the sender in memory, without being read again.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from service_kit.database import Transaction
from service_kit.errors import PoisonError
from service_kit.ids import uuid7
from service_kit.incoming import Incoming
from service_kit.rows import Rows, Shape
from shared_events.webhooks.delivery import WebhookDeliveryExhausted

from crm_webhooks.deliveries import models, owners
from crm_webhooks.deliveries.body import write_body
from crm_webhooks.deliveries.lanes import Owed
from crm_webhooks.deliveries.matching import channel_of, concerns, session_of, wants
from crm_webhooks.deliveries.sender import Sender
from crm_webhooks.deliveries.trace import trace_headers

_ENDPOINTS = """
SELECT e.id, e.tenant_id, e.event_types, e.channel_ids, e.session_ids, e.version,
    e.rate_limit_per_minute IS NOT NULL AS limited, e.max_concurrency,
    NOT e.enabled OR coalesce(e.paused_until > now(), false) AS held
FROM unnest($1::text[]) AS k(tenant_id)
CROSS JOIN LATERAL (SELECT * FROM webhook_endpoints
    WHERE tenant_id = k.tenant_id AND NOT deleted OFFSET 0) AS e
"""
_EVENTS = Rows(models.OutboundEvent)
# Leased at birth, unless memory is full or the ordering key has something that must go first:
# one that was never attempted and is not in our hands, or one that another process has in hand.
# LATERAL with LIMIT 1 looks each key up by itself; for a NOT EXISTS, PostgreSQL reads all that is
# owed to anybody, once a batch.
_DELIVERIES = """
INSERT INTO webhook_deliveries (id, tenant_id, event_id, event_type, endpoint_id, ordering_key,
    lease_owner, lease_until)
SELECT n.id, n.tenant_id, n.event_id, n.event_type, n.endpoint_id, n.ordering_key,
    CASE WHEN n.leased THEN $1::uuid END,
    CASE WHEN n.leased THEN now() + make_interval(secs => $2) END
FROM (
    SELECT n.*, n.room AND o.goes_first IS NULL AS leased
    FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::uuid[], $8::uuid[], $9::bool[])
        WITH ORDINALITY
        AS n(id, tenant_id, event_id, event_type, endpoint_id, ordering_key, room, place)
    LEFT JOIN LATERAL (
        SELECT true AS goes_first FROM webhook_deliveries o
        WHERE o.endpoint_id = n.endpoint_id AND o.ordering_key = n.ordering_key
            AND o.status IN ('pending', 'retrying')
            AND ((o.attempts = 0 AND o.lease_owner IS DISTINCT FROM $1)
                OR (o.lease_owner <> $1 AND o.lease_until > now()))
        LIMIT 1) AS o ON true
) n
ORDER BY n.place
ON CONFLICT DO NOTHING
RETURNING id, lease_owner IS NOT NULL AS leased
"""


@dataclass(frozen=True, slots=True)
class _Taker:
    """An endpoint that may want an event. One that is `held` gets it later, from PostgreSQL.

    So does a `limited` one, and one with `max_concurrency`: tokens are taken by who claims
    (`rates`), and who owns its lane may be another process (`owners`).
    """

    id: UUID
    tenant_id: str
    version: int
    event_types: list[str]
    channel_ids: list[str]
    session_ids: list[str]
    limited: bool
    max_concurrency: int | None
    held: bool

    @property
    def claimed(self) -> bool:
        """Whether nothing of it is leased as it comes in."""
        return self.held or self.limited or self.max_concurrency is not None


@dataclass(frozen=True, slots=True)
class _Stored:
    """A delivery that was new, and whether it is in our hands."""

    id: UUID
    leased: bool


_TAKERS = Shape(_Taker)
_STORED = Shape(_Stored)


@dataclass(frozen=True, slots=True)
class _Outbound:
    """An event as customers get it."""

    tenant_id: str
    event_id: UUID
    event_type: str
    ordering_key: UUID
    channel_id: str | None
    session_id: str | None
    occurred_at: datetime
    body: bytes
    trace: Mapping[str, str]
    quiet: bool
    """Nobody asked for it to be told (`ContactCreated`)."""


def outbound(incoming: Incoming[Any]) -> _Outbound:
    """Read an envelope and write the customer's body, once.

    Raises PoisonError when the envelope cannot be read.
    """
    try:
        envelope = orjson.loads(incoming.body)
        occurred_at = datetime.fromisoformat(envelope["occurred_at"]).astimezone(UTC)
        body = write_body(
            incoming.id, envelope["event_type"], occurred_at, incoming.tenant_id, envelope["data"]
        )
        return _Outbound(
            incoming.tenant_id,
            incoming.id,
            envelope["event_type"],
            UUID(envelope["aggregate_id"]),
            channel_of(envelope["data"]),
            session_of(envelope["data"]),
            occurred_at,
            body,
            trace_headers(
                incoming.cause.correlation_id, incoming.cause.trace_context.get("traceparent")
            ),
            envelope["data"].get("quiet") is True,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PoisonError("invalid_event", type(error).__name__) from None


def _is_for(endpoint: _Taker, event: _Outbound) -> bool:
    """Whether it wants the event; that it was given up on is told to others than itself."""
    if (
        event.event_type == WebhookDeliveryExhausted.event_type
        and event.ordering_key == endpoint.id
    ):
        return False
    return (
        wants(endpoint.event_types, event.event_type)
        and concerns(endpoint.channel_ids, event.channel_id)
        and concerns(endpoint.session_ids, event.session_id)
    )


class Ingest:
    """The consumer of public events."""

    def __init__(self, sender: Sender, *, lease_seconds: float) -> None:
        self._sender = sender
        self._lease_seconds = lease_seconds

    async def on_events(self, tx: Transaction, events: Sequence[Incoming[Any]]) -> None:
        """Store what each endpoint of the events' tenants is owed for them."""
        endpoints: dict[str, list[_Taker]] = defaultdict(list)
        tenants = sorted({event.tenant_id for event in events})
        for endpoint in await _TAKERS.find(tx, _ENDPOINTS, tenants):
            endpoints[endpoint.tenant_id].append(endpoint)
        owed: list[tuple[_Outbound, _Taker]] = []
        wanted: list[_Outbound] = []
        for event in (outbound(e) for e in events if e.tenant_id in endpoints):
            theirs = [] if event.quiet else endpoints[event.tenant_id]
            takers = [endpoint for endpoint in theirs if _is_for(endpoint, event)]
            owed += [(event, endpoint) for endpoint in takers]
            if takers:
                wanted.append(event)
        if owed:
            await self._store_events(tx, wanted)
            await self._store_deliveries(tx, owed)

    async def _store_events(self, tx: Transaction, events: Sequence[_Outbound]) -> None:
        rows = [
            models.OutboundEvent.model_construct(
                tenant_id=e.tenant_id,
                event_id=e.event_id,
                event_type=e.event_type,
                body=e.body,
                occurred_at=e.occurred_at,
                correlation_id=e.trace.get("X-Request-Id"),
                traceparent=e.trace.get("traceparent"),
            )
            for e in events
        ]
        await _EVENTS.insert(tx, rows, unless="(tenant_id, event_id)")

    async def _store_deliveries(
        self, tx: Transaction, owed: Sequence[tuple[_Outbound, _Taker]]
    ) -> None:
        ids = [uuid7() for _ in owed]
        returns = self._sender.lanes.returns
        lease_ends = asyncio.get_running_loop().time() + self._lease_seconds
        rows = await _STORED.find(
            tx,
            _DELIVERIES,
            self._sender.owner,
            self._lease_seconds,
            ids,
            [event.tenant_id for event, _ in owed],
            [event.event_id for event, _ in owed],
            [event.event_type for event, _ in owed],
            [endpoint.id for _, endpoint in owed],
            [event.ordering_key for event, _ in owed],
            self._fitting([endpoint for _, endpoint in owed]),
        )
        stored = {row.id: row.leased for row in rows}
        leased: list[Owed] = []
        left: set[UUID] = set()
        owned: set[UUID] = set()
        for delivery_id, (event, endpoint) in zip(ids, owed, strict=True):
            if stored.get(delivery_id):
                leased.append(
                    Owed(
                        id=delivery_id,
                        tenant_id=event.tenant_id,
                        endpoint_id=endpoint.id,
                        endpoint_version=endpoint.version,
                        ordering_key=event.ordering_key,
                        event_id=event.event_id,
                        event_type=event.event_type,
                        occurred_at=event.occurred_at,
                        body=event.body,
                        attempts=0,
                        trace=event.trace,
                        lease_ends=lease_ends,
                    )
                )
            elif delivery_id in stored and not endpoint.held:
                left.add(endpoint.id)
                if endpoint.max_concurrency is not None:
                    owned.add(endpoint.id)
        await owners.tell(tx, owned)
        tx.after_commit(lambda: self._sender.accept(leased, returns, left))

    def _fitting(self, endpoints: Sequence[_Taker]) -> list[bool]:
        """Which deliveries may be taken in hand: in order, the first ones of each endpoint."""
        if not self._sender.accepting:
            return [False] * len(endpoints)
        lanes, now = self._sender.lanes, asyncio.get_running_loop().time()
        room = {e.id: 0 if e.claimed else lanes.room_for(e.id, now) for e in endpoints}
        total, taken = lanes.room, Counter[UUID]()
        fitting: list[bool] = []
        for endpoint in endpoints:
            taken[endpoint.id] += 1
            fits = total > 0 and taken[endpoint.id] <= room[endpoint.id]
            total -= fits
            fitting.append(fits)
        return fitting
