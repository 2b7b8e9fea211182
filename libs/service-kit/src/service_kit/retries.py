"""What cannot be applied now: to the delay queues, and after the last of them the dead letters.

A copy is published and confirmed before its original is acknowledged, so nothing is between two
queues. A copy that cannot be made (AMQP cannot carry it, or the broker closes the connection over
it) stops nobody: the original is rejected, and the broker itself moves it to the dead letters.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from faststream.rabbit import RabbitExchange
from shared_events import topology

from service_kit import metrics
from service_kit.bundles import Message
from service_kit.bus import Publisher, UnpublishableError, UnroutableError
from service_kit.connection import BrokerDownError, ConnectionLostError
from service_kit.dead_letters import DIED_AT
from service_kit.errors import PoisonError, UnknownEventError

log = structlog.get_logger()

_LONGEST_KEPT_HEADER = 1000
"""Characters. What strangers made longer is no header of ours, and a copy must be publishable."""
_MAX_ATTEMPTS = 1000
"""What `x-attempt` may count to; a header that says more was not written by us."""
_LOST_TOGETHER = 2
"""Connections lost under a copy before it is suspected, and goes on one of its own."""
_WAIT_SECONDS = 1.0


class Retries:
    """The way out of one consumer's queue, for what it could not apply."""

    def __init__(
        self,
        queue: topology.EventQueue,
        consumer: str,
        publisher: Publisher,
        delays: Sequence[float],
    ) -> None:
        self._queue = queue
        self._consumer = consumer
        self._publisher = publisher
        self._delays = tuple(delays)

    async def postpone(self, message: Message, error: Exception) -> None:
        """Send a copy through the next delay queue, or to the dead letters after the last.

        Returns when the broker has it: the original is to be acknowledged then, unless it was
        settled here.
        """
        if isinstance(error, PoisonError):
            await self._dead_letter(message, error.reason, error.detail)
            return
        attempt = _attempts(message) + 1
        log.exception("consumer_failed", consumer=self._consumer, attempt=attempt, exc_info=error)
        if attempt > len(self._delays):
            if isinstance(error, UnknownEventError):
                await self._dead_letter(message, error.reason, error.detail)
            else:
                await self._dead_letter(message, "retries_exhausted", type(error).__name__)
            return
        delay_ms = int(self._delays[attempt - 1] * 1000)
        waiting_room, _ = topology.retry(self._queue.service, delay_ms)
        headers = {"x-attempt": attempt, "x-last-error": type(error).__name__}
        await self._copy(message, waiting_room, f"{attempt}", headers)

    async def _dead_letter(self, message: Message, reason: str, detail: str) -> None:
        metrics.DEAD_LETTERED.labels(self._consumer, reason).inc()
        log.error("dead_lettered", consumer=self._consumer, reason=reason, detail=detail)
        headers = {
            "x-dead-reason": reason,
            "x-last-error": detail[:500],
            DIED_AT: int(time.time()),
        }
        await self._copy(message, self._queue.exchange.dead_letters, "dead", headers)

    async def _copy(
        self,
        message: Message,
        exchange: RabbitExchange,
        suffix: str,
        headers: Mapping[str, Any],
    ) -> None:
        """Publish a copy until the broker has it, or its original is among the dead letters."""
        lost = 0
        while True:
            try:
                await self._publish(
                    message, exchange, suffix, headers, alone=lost >= _LOST_TOGETHER
                )
                return
            except UnpublishableError as error:
                await self._reject(message, str(error))
                return
            except ConnectionLostError as error:
                lost += 1
                if lost > _LOST_TOGETHER:
                    await self._reject(message, "the broker closed the connection over it")
                    return
                log.warning("copy_lost_with_connection", consumer=self._consumer, error=str(error))
            except (UnroutableError, BrokerDownError) as error:
                log.warning("copy_waits_for_broker", consumer=self._consumer, error=str(error))
            await asyncio.sleep(_WAIT_SECONDS)

    async def _publish(
        self,
        message: Message,
        exchange: RabbitExchange,
        suffix: str,
        headers: Mapping[str, Any],
        *,
        alone: bool,
    ) -> None:
        kept = {
            name: value
            for name, value in message.headers.items()
            if not name.startswith("x-death") and len(str(value)) <= _LONGEST_KEPT_HEADER
        }
        # A copy needs a message id of its own: two in flight with one id confuse returns.
        original = (message.message_id or "").partition("#")[0]

        async def publish(publisher: Publisher) -> None:
            await publisher.publish(
                exchange,
                self._queue.name,
                message.body,
                message_id=f"{original[:200]}#{suffix}",
                headers={**kept, **headers},
                correlation_id=message.correlation_id,
            )

        if not alone:
            await publish(self._publisher)
            return
        async with self._publisher.apart() as publisher:
            await publish(publisher)

    async def _reject(self, message: Message, why: str) -> None:
        """Its queue has a dead-letter exchange: the broker moves it there, headers and all."""
        metrics.DEAD_LETTERED.labels(self._consumer, "rejected").inc()
        log.error("dead_lettered", consumer=self._consumer, reason="rejected", detail=why)
        await message.reject(requeue=False)


def _attempts(message: Message) -> int:
    """How often it was delayed already."""
    count = message.headers.get("x-attempt", 0)
    return count if isinstance(count, int) and 0 <= count < _MAX_ATTEMPTS else _MAX_ATTEMPTS
