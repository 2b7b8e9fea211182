"""Asking over the bus (docs/architecture.md, "Requests").

One exclusive reply queue and a map of who waits for what, so many calls are in flight at once
(FastStream's own `request()` allows one). Nobody waits for nothing: an absent broker or service is
told at once, every call has a deadline, and a service that is slow takes no other's place.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from aio_pika.exceptions import PublishError
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue, RabbitRouter
from shared_events import topology
from shared_events.registry import BY_KEY
from shared_events.requests import Principal, Reply, Request, RequestEnvelope

from service_kit import tracing
from service_kit.bus import BROKER_ERRORS, make_broker, undecoded
from service_kit.circuits import Circuits
from service_kit.connection import (
    OPEN_SECONDS,
    BrokerDownError,
    Patience,
    connect,
    discard,
    existing_queue,
    held,
    is_blocked,
    watch,
)
from service_kit.declaring import have_exchanges
from service_kit.errors import DeadlineError, ExpectedVersion, UnavailableError
from service_kit.signing import HEADER, Signatures, Signed

DEFAULT_TIMEOUT_SECONDS = 5.0
_TO_NOBODY = "nobody"
"""A routing key without a queue behind it."""


class RequestClient:
    """Asks services over the bus. One per process."""

    def __init__(
        self, amqp_url: str, signatures: Signatures, *, timeout: float = DEFAULT_TIMEOUT_SECONDS
    ) -> None:
        """`timeout`: seconds an answer may take where a call says nothing else."""
        self._timeout = timeout
        self._amqp_url = amqp_url
        self._signatures = signatures
        self._reply_queue = ""
        self._waiting: dict[str, tuple[asyncio.Future[Reply], asyncio.Timeout]] = {}
        self._circuits = Circuits()
        self._patience = Patience()
        self._open: tuple[RabbitBroker, AbstractRobustConnection] | None = None

    def router(self, reply_queue: str = "replies") -> RabbitRouter:
        """What may be asked, and a subscriber of the reply queue."""
        router = RabbitRouter()
        for key, request in BY_KEY.items():
            router.publisher(
                exchange=topology.CRM_REQUESTS,
                routing_key=key,
                title=key,
                description=request.__doc__,
                schema=RequestEnvelope.__class_getitem__(request),
            )
        subscriber = router.subscriber(
            RabbitQueue(reply_queue, exclusive=True, auto_delete=True, durable=False),
            topology.CRM_REPLIES,
            channel=Channel(prefetch_count=1000, publisher_confirms=False),
            ack_policy=AckPolicy.ACK_FIRST,
            decoder=undecoded,
            no_reply=True,
            title="replies",
        )
        subscriber(self._on_reply)
        return router

    async def run(self) -> None:
        """Connect, open the reply queue and watch it; raises when either is lost."""
        broker = self._broker()
        async with held(broker, have_exchanges) as connection:
            await self._prove(broker)
            self._open = broker, connection
            try:
                await watch(connection, self._look, self._patience)
            finally:
                self._open = None
                self._give_up()

    async def start(self) -> None:
        """Connect and open the reply queue; raises when the broker is away. May be tried again.

        For whoever needs no watch, such as tests.
        """
        await self._disconnect()
        broker = self._broker()
        self._open = broker, await connect(broker, have_exchanges)

    async def stop(self) -> None:
        """Disconnect; whoever still waits is told at once."""
        self._give_up()
        await self._disconnect()

    def _broker(self) -> RabbitBroker:
        # Another name each time: a broker may still hold a lost connection's queue.
        self._reply_queue = f"replies.{uuid4()}"
        broker = make_broker(self._amqp_url)
        broker.include_router(self.router(self._reply_queue))
        return broker

    def _give_up(self) -> None:
        """No reply can come any more: the queue it would come to is lost."""
        for future, scope in self._waiting.values():
            if not future.done():
                future.set_exception(
                    DeadlineError("no_answer", "The connection was lost before an answer came.")
                )
                future.exception()  # nobody asks for it who waits for the broker to take a request
                if not scope.expired():  # its time may have passed in this very turn
                    scope.reschedule(0.0)

    async def _disconnect(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            await discard(*opened)

    async def _prove(self, broker: RabbitBroker) -> None:
        """Raise BrokerDownError unless the broker takes what is published.

        One that is short of memory or disk welcomes everybody, and then takes nothing of them.
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await broker.publish(
                    b"", exchange=topology.CRM_REQUESTS, routing_key=_TO_NOBODY, mandatory=False
                )
        except TimeoutError:
            raise BrokerDownError("the broker takes nothing") from None

    async def _look(self, channel: AbstractRobustChannel) -> None:
        """Whether the reply queue is there and still ours."""
        await existing_queue(channel, self._reply_queue)

    async def check(self) -> None:
        """Raise UnavailableError while nothing can be asked: not connected yet, or not any more."""
        self._connected()

    def _connected(self) -> RabbitBroker:
        opened = self._open
        if opened is None or not opened[1].connected.is_set() or is_blocked(opened[1]):
            raise UnavailableError(
                "broker_unavailable", "The message broker is away; try again shortly."
            )
        return opened[0]

    async def _on_reply(self, message: RabbitMessage) -> None:
        """What a service answered."""
        waiting = self._waiting.get(str(message.correlation_id))
        if waiting is not None and not waiting[0].done():
            waiting[0].set_result(Reply.model_validate_json(message.body))

    async def call(
        self,
        request: Request[Any],
        *,
        principal: Principal,
        correlation_id: str,
        idempotency_key: str | None = None,
        expected_version: ExpectedVersion = None,
        trace: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Ask the service that owns `request.key`; a reply may hold a problem.

        Raises UnavailableError when the broker or the service is away or too busy (at once) and
        DeadlineError when no answer came within `timeout` seconds (the outcome is then unknown).
        """
        await self.check()
        timeout = self._timeout if timeout is None else timeout
        version, versions = told_versions(expected_version)
        envelope = RequestEnvelope[dict[str, Any]](
            key=request.key,
            principal=principal,
            deadline=datetime.now(UTC) + timedelta(seconds=timeout),
            timeout_ms=int(timeout * 1000),
            correlation_id=correlation_id,
            idempotency_key=idempotency_key,
            expected_version=version,
            expected_versions=versions,
            body=request.model_dump(mode="json", exclude_unset=True, by_alias=True),
        )
        try:
            with self._circuits.call(request.key.partition(".")[0], principal.tenant_id):
                return await self._ask(envelope, timeout, trace or {})
        except TimeoutError:
            raise DeadlineError("no_answer", "The service did not answer in time.") from None

    async def _ask(
        self, envelope: RequestEnvelope[dict[str, Any]], timeout: float, trace: Mapping[str, str]
    ) -> Reply:
        call_id = str(uuid4())
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(timeout) as scope:
            self._waiting[call_id] = future, scope
            try:
                with tracing.continued(trace):
                    await self._send(envelope, call_id, timeout, trace)
                return await future
            finally:
                del self._waiting[call_id]

    async def _send(
        self,
        envelope: RequestEnvelope[dict[str, Any]],
        call_id: str,
        timeout: float,
        trace: Mapping[str, str],
    ) -> None:
        asked = Signed(
            key=envelope.key,
            message_id=call_id,
            correlation_id=call_id,
            # FastStream answers through the exchange behind the bar.
            reply_to=f"{self._reply_queue}|{topology.CRM_REPLIES.name}",
            body=envelope.model_dump_json().encode(),
        )
        try:
            await self._connected().publish(
                asked.body,
                exchange=topology.CRM_REQUESTS,
                routing_key=asked.key,
                message_id=asked.message_id,
                correlation_id=asked.correlation_id,
                reply_to=asked.reply_to,
                expiration=timedelta(seconds=timeout),
                headers={**trace, HEADER: self._signatures.sign(asked)},
                content_type="application/json",
            )
        except PublishError:
            raise UnavailableError(
                "service_unavailable", "The service behind this is not running."
            ) from None
        except TimeoutError:
            raise
        except BROKER_ERRORS:
            raise UnavailableError(
                "broker_unavailable", "The message broker is away; try again shortly."
            ) from None


def told_versions(expected: ExpectedVersion) -> tuple[int | None, list[int] | None]:
    """The version that travels, and all of them where there are several: who knows no list, a
    service of before, refuses all but the newest."""
    if not isinstance(expected, frozenset):
        return expected, None
    return max(expected), sorted(expected) if len(expected) > 1 else None
