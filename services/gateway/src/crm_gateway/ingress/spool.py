"""Where accepted webhooks wait while the broker is away.

Order within a channel survives: while one of its webhooks waits, this process lets the later
ones queue up behind it, and publishes directly again once the channel's spool is empty.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog
from asyncpg import Record
from prometheus_client import Gauge
from service_kit.bus import BrokerDownError, Publisher, UnroutableError
from service_kit.database import Database

from crm_gateway.ingress.webhook import Webhook, publish

log = structlog.get_logger()

SPOOLED = Gauge("crm_ingress_spooled", "Webhooks that wait for the broker")

_BATCH = 200
_DRAIN_SECONDS = 10.0
"""For the confirm of a whole batch under way at once."""
_RETRY_SECONDS = 0.5
_PATIENCE_SECONDS = 1.0
"""How long a webhook pauses for the spool to empty before it is stored behind the others."""
_LOOK_SECONDS = 5.0
"""How often an idle process looks for what another one, now gone, has left."""

_INSERT = """
INSERT INTO ingress_spool (id, tenant_id, channel_id, event, body, headers)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING
"""
_OLDEST = """
SELECT seq, id, tenant_id, channel_id, event, body, headers FROM ingress_spool
ORDER BY seq LIMIT $1
"""
# One process drains at a time; the others go on to their next look.
_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('gateway.ingress_spool', 0))"


class Spool:
    """Keeps webhooks in the database and brings them to the broker when it is back."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher
        self._waiting: set[str] = set()  # channels with webhooks in the spool
        self._writing = 0
        self._written = 0
        self._wake = asyncio.Event()
        self._gate = asyncio.Event()
        self._gate.set()

    async def accept(self, webhook: Webhook) -> None:
        """Return once the webhook is durable: confirmed by the broker, or stored here.

        Raises what `is_infrastructure` when broker and database are both away.
        """
        channel = str(webhook.channel_id)
        if channel in self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._gate.wait()
        if channel not in self._waiting:
            try:
                await publish(self._publisher, webhook)
                return
            except (BrokerDownError, UnroutableError) as error:
                log.warning("spooling", channel_id=channel, error=repr(error))
        self._waiting.add(channel)
        self._wake.set()
        self._writing += 1
        self._written += 1
        try:
            await self._store(webhook)
        finally:
            self._writing -= 1

    async def _store(self, webhook: Webhook) -> None:
        async with self._database.tenant(webhook.tenant_id) as tx:
            await tx.execute(
                _INSERT,
                webhook.id,
                webhook.tenant_id,
                webhook.channel_id,
                webhook.event,
                webhook.body,
                dict(webhook.headers),
            )

    async def run(self) -> None:
        """Drain whenever there is something to drain, until cancelled."""
        while True:
            await self._drain()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._wake.wait()

    async def _drain(self) -> None:
        """Publish what waits, oldest first; returns when nothing waits any more."""
        try:
            while True:
                quiet, held, written = not self._writing, set(self._waiting), self._written
                found, left = await self._publish_batch()
                if left:
                    self._gate.set()  # the broker is still away: nobody need wait for us
                    await asyncio.sleep(_RETRY_SECONDS)
                elif found < _BATCH and quiet and self._written == written:
                    # Nothing was being written while we looked: nothing can be overtaken.
                    self._waiting -= held
                    if not self._waiting:
                        self._wake.clear()
                        return
                else:
                    # It works again, so arrivals of waiting channels pause: without that a
                    # busy channel would never find its spool empty.
                    self._gate.clear()
        finally:
            self._gate.set()

    async def _publish_batch(self) -> tuple[int, int]:
        """Publish and delete the oldest; how many there were, and how many of them are left."""
        async with self._database.system("ingress") as tx:
            ours = await tx.fetchval(_TURN)  # first: then we see what the one before deleted
            rows = await tx.fetch(_OLDEST, _BATCH)
            SPOOLED.set(len(rows))
            if not rows:
                return 0, 0
            by_channel: dict[str, list[Record]] = {}
            for row in rows:
                by_channel.setdefault(str(row["channel_id"]), []).append(row)
            self._waiting |= by_channel.keys()
            if not ours:
                return len(rows), len(rows)
            published = await asyncio.gather(
                *(self._publish_in_order(channel) for channel in by_channel.values())
            )
            done = [seq for seqs in published for seq in seqs]
            if done:
                await tx.execute("DELETE FROM ingress_spool WHERE seq = ANY($1::bigint[])", done)
                log.info("spool_drained", count=len(done))
            return len(rows), len(rows) - len(done)

    async def _publish_in_order(self, rows: Sequence[Record]) -> list[int]:
        """Publish one channel's webhooks; the `seq` of those before the first failure.

        They are on their way at once, in order: a connection keeps the order it was given.
        """
        results = await asyncio.gather(
            *(publish(self._publisher, _webhook(row), timeout=_DRAIN_SECONDS) for row in rows),
            return_exceptions=True,
        )
        done: list[int] = []
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, BrokerDownError | UnroutableError):
                break  # what follows it is published again: twice is better than too early
            if result is not None:
                raise result
            done.append(row["seq"])
        return done


def _webhook(row: Record) -> Webhook:
    return Webhook(
        id=row["id"],
        tenant_id=row["tenant_id"],
        channel_id=row["channel_id"],
        event=row["event"],
        body=row["body"],
        headers=row["headers"],
    )
