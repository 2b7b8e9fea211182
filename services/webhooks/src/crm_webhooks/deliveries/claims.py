"""Takes over from PostgreSQL what is due: retries, what did not fit, what a dead process held.

The common case never comes here: ingest leases new deliveries in their insert and hands them over
in memory. One claimer works at a time across processes, which keeps deliveries of one ordering key
in one pair of hands; claiming is quick, so nobody waits long.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from service_kit.database import Database
from service_kit.rows import Shape

from crm_webhooks.deliveries import owners, rates
from crm_webhooks.deliveries.lanes import Owed
from crm_webhooks.deliveries.sender import Sender
from crm_webhooks.deliveries.trace import trace_headers

BACKSTOP_SECONDS = 1.0
HELPING = 100
AT_ONCE = 500
"""Twice as many hold a claim's locks, and this process' loop, for twice as long."""
CHANNEL = "webhook_endpoints"
"""NOTIFY channel: an endpoint changed (payload: its id), or something of it became due."""

_BEFORE_ALL, _AFTER_ALL = UUID(int=0), UUID(int=2**128 - 1)
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('webhooks_claim'))"

# One plan for good, made when we connect and not while deliveries wait: the statement's size makes
# planning it for each set of values dear. What it is made for is a table of any size.
_PLANNED_ONCE = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"
# From one endpoint that is owed something the index leads to the next, so those that are owed
# nothing cost nothing (its whole order is asked for, or an index of all there ever was would do).
# They have their turn: where memory was full, the next look begins behind the last one that got
# something, goes on from the first one, and ends where memory is full again. Of each the oldest due
# ones, so that one with a million debts costs as much as one with ten. Its room is looked up in
# JSON, and what it is by its key once more in the end: a join is planned as a loop over both. Rows
# whose ordering key another process has in hand wait for it; that is looked up for each (see
# ingest). What is due is claimed by an array of its ids: nobody can tell the planner how many they
# are, and for a join it would read the whole table.
_CLAIM = f"""
WITH due AS (
    SELECT d.id
    FROM (
        SELECT e.id,
            least(coalesce(((SELECT $3::text::jsonb) ->> e.id::text)::int, $6), $4,
                {rates.TOKENS}) AS room
        FROM (VALUES ($7::uuid, '{_AFTER_ALL}'::uuid), ('{_BEFORE_ALL}', $7)) AS turn(behind, last)
        CROSS JOIN LATERAL (
            WITH RECURSIVE owed AS (
                SELECT turn.behind AS endpoint_id
                UNION ALL
                SELECT n.endpoint_id FROM owed CROSS JOIN LATERAL (
                    SELECT d.endpoint_id FROM webhook_deliveries d
                    WHERE d.endpoint_id > owed.endpoint_id AND d.endpoint_id <= turn.last
                        AND d.status IN ('pending', 'retrying')
                    ORDER BY d.endpoint_id, d.next_attempt_at, d.seq LIMIT 1) AS n
            )
            SELECT endpoint_id FROM owed OFFSET 1
        ) AS owed
        CROSS JOIN LATERAL (SELECT * FROM webhook_endpoints WHERE id = owed.endpoint_id OFFSET 0) e
        WHERE e.enabled AND NOT e.deleted
            AND (e.paused_until IS NULL OR e.paused_until <= now())
            AND (e.max_concurrency IS NULL OR {owners.OURS})
        OFFSET 0
    ) e
    CROSS JOIN LATERAL (
        SELECT d.id FROM webhook_deliveries d
        LEFT JOIN LATERAL (
            SELECT true AS elsewhere FROM webhook_deliveries o
            WHERE o.endpoint_id = d.endpoint_id AND o.ordering_key = d.ordering_key
                AND o.status IN ('pending', 'retrying')
                AND o.lease_owner <> $1 AND o.lease_until > now()
            LIMIT 1) AS o ON true
        WHERE d.endpoint_id = e.id AND d.status IN ('pending', 'retrying')
            AND d.next_attempt_at <= now()
            AND (d.lease_until IS NULL OR d.lease_until <= now())
            AND o.elsewhere IS NULL
        ORDER BY d.next_attempt_at, d.seq
        LIMIT e.room
        FOR UPDATE OF d SKIP LOCKED
    ) d
    LIMIT $5
), claimed AS (
    UPDATE webhook_deliveries
    SET lease_owner = $1, lease_until = now() + make_interval(secs => $2)
    WHERE id = ANY(ARRAY(SELECT id FROM due))
    RETURNING *
)
SELECT c.id, c.tenant_id, c.endpoint_id, e.version, e.limited, e.max_concurrency,
    c.ordering_key, c.event_id, c.event_type, c.attempts, v.body, v.occurred_at, v.correlation_id,
    v.traceparent, c.trigger = 'event' AND NOT e.limited AND e.max_concurrency IS NULL
        AND v.occurred_at > e.free_since AS prompt
FROM claimed c JOIN webhook_events v USING (tenant_id, event_id)
CROSS JOIN LATERAL (
    SELECT version, rate_limit_per_minute IS NOT NULL AS limited, max_concurrency,
        greatest(updated_at, paused_until) AS free_since
    FROM webhook_endpoints WHERE id = c.endpoint_id OFFSET 0) AS e
ORDER BY c.next_attempt_at, c.seq
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A delivery with the event it tells of, and what its endpoint was when it was claimed."""

    id: UUID
    tenant_id: str
    endpoint_id: UUID
    version: int
    limited: bool
    max_concurrency: int | None
    ordering_key: UUID
    event_id: UUID
    event_type: str
    attempts: int
    body: bytes
    occurred_at: datetime
    correlation_id: str | None
    traceparent: str | None
    prompt: bool


_CLAIMED = Shape(_Claimed)


class Claims:
    """The loop that claims, and the ear for what other processes changed."""

    def __init__(self, database: Database, sender: Sender, *, lease_seconds: float) -> None:
        self._database = database
        self._sender = sender
        self._lease_seconds = lease_seconds
        self._wake = asyncio.Event()
        self._served = _BEFORE_ALL

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def wake_in(self, seconds: float) -> None:
        """Look when this has passed; what is further away than the backstop needs no timer."""
        if seconds < BACKSTOP_SECONDS:
            asyncio.get_running_loop().call_later(seconds, self._wake.set)

    async def run(self) -> None:
        """Claim until cancelled; raises when the database connection is lost."""
        connection = await self._database.dedicated("claims")
        try:
            await connection.execute(f"SET app.scope = 'deliver'; {_PLANNED_ONCE}")
            await self._fetch(connection, {}, most=0, room_for_new=0)
            await connection.add_listener(CHANNEL, self._on_change)
            await connection.add_listener(owners.CHANNEL, lambda *_: self._wake.set())
            connection.add_termination_listener(lambda *_: self._wake.set())
            self._sender.forget_all()  # changes may have gone unheard
            while True:
                self._wake.clear()
                if not (self._sender.accepting and await self._claim(connection)):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(BACKSTOP_SECONDS):
                            await self._wake.wait()
        finally:
            with suppress(Exception):
                await asyncio.shield(connection.close(timeout=5))

    def _on_change(self, *notice: Any) -> None:
        self._sender.changed(UUID(notice[-1]))
        self._wake.set()

    async def _claim(self, connection: asyncpg.Connection) -> bool:
        """Claim once; returns whether there may be more that fits."""
        loop = asyncio.get_running_loop()
        most = min(self._sender.lanes.room, AT_ONCE)
        if most == 0:
            return False
        begun, returns = loop.time(), self._sender.lanes.returns
        room, room_for_new = self._sender.lanes.rooms(begun), self._sender.lanes.room_for_new
        async with connection.transaction():
            await connection.execute(_ONE_AT_A_TIME)
            claimed = await self._fetch(connection, room, most=most, room_for_new=room_for_new)
            limited = Counter(one.endpoint_id for one in claimed if one.limited)
            further = await rates.take(connection, limited) if limited else []
            if owned := {one.endpoint_id for one in claimed if one.max_concurrency}:
                await owners.take(connection, owned, self._sender.owner, self._lease_seconds)
        for seconds in further:
            loop.call_later(max(seconds, rates.BURST_SECONDS / 2), self._wake.set)
        taken = Counter(one.endpoint_id for one in claimed)
        for one in claimed:
            self._sender.lanes[one.endpoint_id].max_concurrency = one.max_concurrency
        for endpoint_id, count in taken.items():
            self._sender.lanes[endpoint_id].limited = endpoint_id in limited
            if count >= min(room.get(endpoint_id, room_for_new), HELPING):
                self._sender.lanes[endpoint_id].more = True
        full = len(claimed) == most
        self._served = _last_in_turn(taken, self._served) if full else _BEFORE_ALL
        lease_ends, token_ends = begun + self._lease_seconds, begun + rates.TOKEN_SECONDS
        self._sender.accept([_owed(one, lease_ends, token_ends) for one in claimed], returns)
        return full

    async def _fetch(
        self,
        connection: asyncpg.Connection,
        room: Mapping[UUID, int],
        *,
        most: int,
        room_for_new: int,
    ) -> list[_Claimed]:
        by_text = {str(endpoint_id): count for endpoint_id, count in room.items()}
        rows = await connection.fetch(
            _CLAIM,
            self._sender.owner,
            self._lease_seconds,
            orjson.dumps(by_text).decode(),
            HELPING,
            most,
            room_for_new,
            self._served,
        )
        return [_CLAIMED.value(row) for row in rows]


def _last_in_turn(served: Iterable[UUID], before: UUID) -> UUID:
    return max(served, key=lambda endpoint_id: (endpoint_id <= before, endpoint_id))


def _owed(claimed: _Claimed, lease_ends: float, token_ends: float) -> Owed:
    return Owed(
        id=claimed.id,
        tenant_id=claimed.tenant_id,
        endpoint_id=claimed.endpoint_id,
        endpoint_version=claimed.version,
        ordering_key=claimed.ordering_key,
        event_id=claimed.event_id,
        event_type=claimed.event_type,
        occurred_at=claimed.occurred_at,
        body=claimed.body,
        attempts=claimed.attempts,
        prompt=claimed.prompt,
        trace=trace_headers(claimed.correlation_id, claimed.traceparent),
        lease_ends=lease_ends,
        token_ends=token_ends if claimed.limited else None,
        owned=claimed.max_concurrency is not None,
    )
