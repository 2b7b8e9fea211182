"""Where accepted webhooks wait while the broker is away.

Order within a channel survives, whichever gateway takes its webhooks: while one of them waits, all
processes let the later ones queue up behind it, and publish directly again once the channel's spool
is empty. Each NOTIFYs the others of what it stores. A notice takes its time, so who has heard one
lately asks the database before it publishes directly, and who stores the first in a while answers
only when the others must have heard of it.

A webhook that cannot be published is set aside and tried again every hour; nothing waits for it.
One that makes the broker close the connection looks like an outage and takes its whole batch
along; after a few of those, webhooks go one at a time, until that one is found.

When a broker is slow, so is mostly the machine, and all webhooks come here at once: they are stored
together, and asked about together, on connections that are the spool's alone (docs/adr/0039).
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Gauge
from service_kit import tracing
from service_kit.bus import BROKER_ERRORS, Publisher, UnpublishableError, UnroutableError
from service_kit.connection import BrokerDownError, ConnectionLostError
from service_kit.database import Database
from service_kit.rows import Rows, Shape

from crm_gateway.ingress.models import SpooledWebhook
from crm_gateway.ingress.together import Together
from crm_gateway.ingress.webhook import Webhook, publish

log = structlog.get_logger()

SPOOLED = Gauge("crm_ingress_spooled", "Webhooks that wait for the broker")

CONNECTIONS = 3
"""One to store, one to ask and one to drain."""
_BATCH = 200
_TOGETHER = 100
"""Webhooks stored in one transaction: some 6 MB, beside the few that are large."""
_DRAIN_SECONDS = 10.0
"""For the confirm of a whole batch under way at once."""
_RETRY_SECONDS = 0.5
_PATIENCE_SECONDS = 1.0
"""How long a webhook pauses for the spool to empty before it is stored behind the others."""
_LOOK_SECONDS = 5.0
"""How often an idle process looks for what another one, now gone, has left."""
_SPOOLED = "gateway_ingress_spool"
"""NOTIFY channel; the payload is the id of a channel of which a webhook was stored."""
_NOTICE_SECONDS = 0.25
"""Within which a notice is heard."""
_ASK_SECONDS = 5.0
"""How long after a notice the database is asked."""
_LOST_ROUNDS = 3

_SPOOL = Rows(SpooledWebhook)
_DUE = "(next_attempt_at IS NULL OR next_attempt_at <= now())"
_OLDEST = f"""
SELECT * FROM ingress_spool WHERE {_DUE} ORDER BY seq LIMIT $1
"""  # noqa: S608 - our own text
_WAIT = f"""
SELECT asked.channel_id FROM unnest($1::uuid[]) AS asked (channel_id) CROSS JOIN LATERAL (
    SELECT FROM ingress_spool AS s WHERE s.channel_id = asked.channel_id AND {_DUE} LIMIT 1
) AS found
"""  # noqa: S608 - our own text
_SET_ASIDE = """
UPDATE ingress_spool SET next_attempt_at = now() + interval '1 hour' WHERE seq = ANY($1::bigint[])
"""
_CHANNELS = f"""
SELECT channel_id, count(*) AS webhooks, bool_or({_DUE}) AS waits
FROM ingress_spool GROUP BY channel_id
"""  # noqa: S608 - our own text
# One process drains at a time; the others go on to their next look.
_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('gateway.ingress_spool', 0))"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """How many webhooks of a channel are here, and whether some of them wait for their turn."""

    channel_id: UUID
    webhooks: int
    waits: bool


_WAITING = Shape(_Waiting)


@dataclass(slots=True)
class _Round:
    """The rows looked at, and by `seq` which of them the broker has and which it never will.

    `lost`: the connection broke meanwhile.
    """

    found: int
    done: list[int | None] = field(default_factory=list)
    aside: list[int | None] = field(default_factory=list)
    lost: bool = False

    @property
    def left(self) -> int:
        return self.found - len(self.done) - len(self.aside)


class Spool:
    """Keeps webhooks in the database and brings them to the broker when it is back."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher
        self._waiting: set[str] = set()  # channels with webhooks in the spool
        self._storing = Together(self._store, most=_TOGETHER)
        self._asking = Together(self._wait_there, most=_TOGETHER)
        self._writing = 0
        self._written = 0
        # By a monotonic clock: the last notice, and when all have heard the first in a while.
        self._noticed_at = self._heard_at = -math.inf
        self._wake = asyncio.Event()
        self._gate = asyncio.Event()
        self._gate.set()

    async def accept(self, webhook: Webhook) -> None:
        """Return once the webhook is durable: confirmed by the broker, or stored here.

        Raises what `is_infrastructure` when broker and database are both away.
        """
        channel = str(webhook.channel_id)
        waits = await self._waits(channel)
        if waits:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._gate.wait()
            waits = await self._waits(channel)
        if not waits:
            try:
                await publish(self._publisher, webhook)
                return
            except (BrokerDownError, UnroutableError) as error:
                log.warning("spooling", channel_id=channel, error=repr(error))
        # The others stop asking a little before or after us.
        now = time.monotonic()
        if now > self._noticed_at + _ASK_SECONDS - _NOTICE_SECONDS:
            self._heard_at = now + _NOTICE_SECONDS
        self._note(channel)
        self._writing += 1
        try:
            await self._storing.ask(webhook)
        finally:
            self._writing -= 1
        await asyncio.sleep(max(0, self._heard_at - time.monotonic()))

    async def _waits(self, channel: str) -> bool:
        """Whether webhooks of the channel wait for their turn, stored here or by another."""
        is_fresh = time.monotonic() < self._noticed_at + _ASK_SECONDS
        if is_fresh and channel not in self._waiting and await self._asking.ask(channel):
            self._waiting.add(channel)
            self._wake.set()
        return channel in self._waiting

    async def _wait_there(self, channels: Sequence[str]) -> Sequence[bool]:
        """Of which of these channels webhooks wait in the table."""
        async with self._database.system("ingress") as tx:
            waiting = {str(row["channel_id"]) for row in await tx.fetch(_WAIT, list(set(channels)))}
        return [channel in waiting for channel in channels]

    def _note(self, channel: str) -> None:
        """A webhook of the channel is stored, by this process or another."""
        self._waiting.add(channel)
        self._written += 1
        self._noticed_at = time.monotonic()
        self._wake.set()

    async def _store(self, webhooks: Sequence[Webhook]) -> Sequence[None]:
        """Add them to the table, and tell the other processes of their channels."""
        rows = [
            SpooledWebhook(
                id=webhook.id,
                tenant_id=webhook.tenant_id,
                channel_id=webhook.channel_id,
                event=webhook.event,
                body=webhook.body,
                headers=dict(webhook.headers),
            )
            for webhook in webhooks
        ]
        tenants = sorted({webhook.tenant_id for webhook in webhooks})
        async with self._database.tenants(tenants) as tx:
            await _SPOOL.insert(tx, rows, unless="(id)")
            channels = {str(webhook.channel_id) for webhook in webhooks}
            await tx.execute(
                "SELECT pg_notify($1, channel) FROM unnest($2::text[]) AS channel",
                _SPOOLED,
                list(channels),
            )
        return [None] * len(webhooks)

    async def run(self) -> None:
        """Drain whenever there is something to drain; raises when the database is lost."""
        ear = await self._database.dedicated("spool")
        try:
            await ear.add_listener(_SPOOLED, self._on_spooled)
            while True:
                await self._drain()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._wake.wait()
                if ear.is_closed():
                    raise ConnectionResetError("nobody tells us what others have spooled")
        finally:
            with suppress(Exception):
                await asyncio.shield(ear.close(timeout=5))

    def _on_spooled(self, *notice: Any) -> None:
        """A process, perhaps this one, stored a webhook of the channel named last."""
        self._note(notice[-1])

    async def _drain(self) -> None:
        """Publish what waits, oldest first; returns when nothing waits any more."""
        lost, alone = 0, 0
        try:
            while True:
                quiet, held, written = not self._writing, set(self._waiting), self._written
                limit = 1 if alone else _BATCH
                outcome = await self._publish_batch(limit)
                alone = max(alone - len(outcome.done), 0)
                lost = lost + outcome.lost if outcome.left else 0
                if lost == _LOST_ROUNDS:
                    log.warning("spool_looks_for_a_culprit")
                    lost, alone = 0, _BATCH
                if outcome.left:
                    self._gate.set()  # the broker is still away: nobody need wait for us
                    await asyncio.sleep(_RETRY_SECONDS)
                elif outcome.found < limit and quiet and self._written == written:
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

    async def _publish_batch(self, limit: int) -> _Round:
        """Publish and delete the oldest; a single one only on a connection that answers."""
        async with self._database.system("ingress") as tx:
            ours = await tx.fetchval(_TURN)  # first: then we see what the one before deleted
            rows = await _SPOOL.find(tx, _OLDEST, limit)
            outcome = _Round(found=len(rows))
            channels = await _WAITING.find(tx, _CHANNELS)
            SPOOLED.set(sum(channel.webhooks for channel in channels))
            self._waiting |= {str(channel.channel_id) for channel in channels if channel.waits}
            if not rows or not ours or (limit == 1 and not await self._answers()):
                return outcome
            by_channel: dict[str, list[SpooledWebhook]] = {}
            for row in rows:
                by_channel.setdefault(str(row.channel_id), []).append(row)
            await asyncio.gather(
                *(self._publish_in_order(channel, outcome) for channel in by_channel.values())
            )
            if limit == 1 and outcome.lost:
                log.error("webhook_breaks_the_connection", channel_id=str(rows[0].channel_id))
                outcome.aside.append(rows[0].seq)
            if outcome.aside:
                await tx.execute(_SET_ASIDE, outcome.aside)
            if outcome.done:
                await tx.execute(
                    "DELETE FROM ingress_spool WHERE seq = ANY($1::bigint[])", outcome.done
                )
                log.info("spool_drained", count=len(outcome.done))
            return outcome

    async def _answers(self) -> bool:
        try:
            await self._publisher.ping()
        except BROKER_ERRORS:
            return False
        return True

    async def _publish_in_order(self, rows: Sequence[SpooledWebhook], outcome: _Round) -> None:
        """Publish one channel's webhooks up to the first that the broker did not take.

        They are on their way at once, in order: a connection keeps the order it was given.
        """
        results = await asyncio.gather(
            *(publish(self._publisher, _webhook(row), timeout=_DRAIN_SECONDS) for row in rows),
            return_exceptions=True,
        )
        for row, result in zip(rows, results, strict=True):
            match result:
                case None:
                    outcome.done.append(row.seq)
                case UnpublishableError():
                    log.error("webhook_unpublishable", id=str(row.id), reason=str(result))
                    outcome.aside.append(row.seq)
                case BrokerDownError() | UnroutableError():
                    outcome.lost = outcome.lost or isinstance(result, ConnectionLostError)
                    return  # what follows it is published again: twice is better than too early
                case _:
                    raise result


def _checked(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The headers as they are made today: older versions kept whatever trace they were given."""
    ours = {name: value for name, value in headers.items() if name not in tracing.HEADERS}
    return {**ours, **tracing.accepted(headers)}


def _webhook(row: SpooledWebhook) -> Webhook:
    return Webhook(
        id=row.id,
        tenant_id=row.tenant_id,
        channel_id=row.channel_id,
        event=row.event,
        body=row.body,
        headers=_checked(row.headers),
    )
