"""Asking over the bus (design section 3, `crm.requests`).

One exclusive reply queue and a map of who waits for what, so many calls are in flight at once
(FastStream's own `request()` allows one). Nobody waits for nothing: an absent broker or service is
told at once, and every call has a deadline.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aio_pika
from aio_pika.exceptions import PublishError
from faststream import AckPolicy
from faststream.rabbit import RabbitBroker, RabbitMessage, RabbitQueue
from shared_events import topology
from shared_events.requests.base import Principal, Reply, Request, RequestEnvelope

from service_kit.bus import BROKER_ERRORS, connect, discard, is_connected, make_broker, topic
from service_kit.errors import DeadlineError, UnavailableError

MAX_IN_FLIGHT = 256
DEFAULT_TIMEOUT_SECONDS = 5.0
_EXCHANGE = topic(topology.REQUESTS_EXCHANGE)


class RequestClient:
    """Asks services over the bus. One per process."""

    def __init__(self, amqp_url: str) -> None:
        self._amqp_url = amqp_url
        self._reply_queue = f"replies.{uuid4()}"
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._connected = False
        self._broker = self._new_broker()

    def _new_broker(self) -> RabbitBroker:
        broker = make_broker(self._amqp_url, prefetch=1000)
        subscriber = broker.subscriber(
            RabbitQueue(self._reply_queue, exclusive=True, auto_delete=True, durable=False),
            ack_policy=AckPolicy.ACK_FIRST,
            no_reply=True,
        )
        subscriber(self._on_reply)
        return broker

    async def start(self) -> None:
        """Connect and open the reply queue; raises when the broker is away. May be tried again."""
        await discard(self._broker)
        self._broker = self._new_broker()
        await connect(self._broker)
        self._connected = True

    async def stop(self) -> None:
        """Disconnect; whoever still waits is told at once."""
        self._connected = False
        for future in self._waiting.values():
            future.cancel()
        await self._broker.stop()

    async def check(self) -> None:
        """Raise UnavailableError while nothing can be asked: not connected yet, or not any more."""
        if not self._connected or not is_connected(self._broker):
            raise UnavailableError(
                "broker_unavailable", "The message broker is away; try again shortly."
            )

    async def _on_reply(self, message: RabbitMessage) -> None:
        future = self._waiting.get(str(message.correlation_id))
        if future is not None and not future.done():
            future.set_result(Reply.model_validate_json(message.body))

    async def call(
        self,
        request: Request,
        *,
        principal: Principal,
        correlation_id: str,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
        trace: Mapping[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> Reply:
        """Ask the service that owns `request.key`; a reply may hold a problem.

        Raises UnavailableError when the broker or the service is away (at once) and DeadlineError
        when no answer came within `timeout` seconds (the outcome is then unknown).
        """
        await self.check()
        if len(self._waiting) >= MAX_IN_FLIGHT:
            raise UnavailableError("too_busy", "Too many requests are waiting; try again shortly.")
        envelope = RequestEnvelope(
            key=request.key,
            principal=principal,
            deadline=datetime.now(UTC) + timedelta(seconds=timeout),
            correlation_id=correlation_id,
            idempotency_key=idempotency_key,
            expected_version=expected_version,
            body=request.model_dump(mode="json", exclude_unset=True, by_alias=True),
        )
        call_id = str(uuid4())
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = future
        try:
            async with asyncio.timeout(timeout):
                await self._send(envelope, call_id, timeout, trace or {})
                return await future
        except TimeoutError:
            raise DeadlineError("no_answer", "The service did not answer in time.") from None
        finally:
            del self._waiting[call_id]

    async def _send(
        self, envelope: RequestEnvelope, call_id: str, timeout: float, trace: Mapping[str, str]
    ) -> None:
        message = aio_pika.Message(
            envelope.model_dump_json().encode(),
            message_id=call_id,
            correlation_id=call_id,
            reply_to=self._reply_queue,
            expiration=timedelta(seconds=timeout),
            headers=dict(trace),
            content_type="application/json",
        )
        try:
            await self._broker.publish(
                message,
                exchange=_EXCHANGE,
                routing_key=envelope.key,
                mandatory=True,
            )
        except PublishError:
            raise UnavailableError(
                "service_not_deployed", "The service behind this is not running."
            ) from None
        except TimeoutError:
            raise
        except BROKER_ERRORS:
            raise UnavailableError(
                "broker_unavailable", "The message broker is away; try again shortly."
            ) from None
