"""Request and reply over the bus (design section 3, `crm.requests`).

The client keeps one exclusive reply queue and a map of who waits for what, so many calls are in
flight at once (FastStream's own `request()` allows one). The server never lets a caller wait for
nothing: every failure becomes a reply, and a request past its deadline is not executed.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import aio_pika
import orjson
import structlog
from aio_pika.exceptions import PublishError
from faststream import AckPolicy
from faststream.rabbit import RabbitBroker, RabbitMessage, RabbitQueue
from pydantic import BaseModel, ValidationError
from shared_events import topology
from shared_events.requests.base import (
    FieldError,
    Principal,
    Problem,
    Reply,
    Request,
    RequestEnvelope,
)

from service_kit import metrics, tracing
from service_kit.bus import BROKER_ERRORS, connect, discard, is_connected, make_broker, topic
from service_kit.consumer import trace_headers
from service_kit.database import Database, Transaction, is_infrastructure
from service_kit.errors import (
    ConflictError,
    DeadlineError,
    InvalidError,
    ProblemError,
    UnavailableError,
)
from service_kit.outbox import Cause

log = structlog.get_logger()

_EXCHANGE = topic(topology.REQUESTS_EXCHANGE)
MAX_IN_FLIGHT = 256
DEFAULT_TIMEOUT_SECONDS = 5.0

AnyRequest = TypeVar("AnyRequest", bound=Request)


@dataclass(frozen=True, slots=True)
class Call:
    """What a request handler may need to know beside the request itself."""

    principal: Principal
    correlation_id: str
    expected_version: int | None = None

    @property
    def user_id(self) -> UUID | None:
        """Who asks, when it is a person."""
        return self.principal.user_id


RequestHandler = Callable[[Transaction, Any, Call], Awaitable[BaseModel]]
"""Carries out one request in the caller's transaction; raises ProblemError to refuse it."""

ExternalHandler = Callable[[Any, Call], Awaitable[BaseModel]]
"""As above, for requests that talk to somebody outside: it opens its own, short transactions."""


class RequestServer:
    """Answers the requests of one service, each in a transaction for the caller's tenant."""

    def __init__(
        self,
        service: str,
        handlers: Mapping[type[Request], RequestHandler],
        *,
        database: Database,
        amqp_url: str,
        external: Mapping[type[Request], ExternalHandler] | None = None,
        prefetch: int = 64,
    ) -> None:
        self._service = service
        self._handlers = {request.key: fn for request, fn in handlers.items()}
        self._external = {request.key: fn for request, fn in (external or {}).items()}
        self._types = {request.key: request for request in (*handlers, *(external or {}))}
        self._database = database
        self._amqp_url, self._prefetch = amqp_url, prefetch
        self._broker = self._new_broker()

    def _new_broker(self) -> RabbitBroker:
        broker = make_broker(self._amqp_url, confirms=False, prefetch=self._prefetch)
        for kind in ("query", "command"):
            self._subscribe(broker, kind)
        return broker

    def _subscribe(self, broker: RabbitBroker, kind: str) -> None:
        queue = topology.RequestQueue(self._service, kind)
        subscriber = broker.subscriber(
            RabbitQueue(queue.name, durable=True),
            ack_policy=AckPolicy.ACK if kind == "command" else AckPolicy.ACK_FIRST,
            no_reply=True,
            title=queue.name,
        )
        subscriber(self._serve)

    async def start(self) -> None:
        """Declare the queues, bind the keys, begin to answer; after a failure, call it again."""
        await discard(self._broker)
        self._broker = self._new_broker()
        await connect(self._broker)
        connection = self._broker._connection
        if connection is None:
            raise ConnectionError("not connected")
        channel = await connection.channel()
        try:
            exchange = await channel.declare_exchange(
                topology.REQUESTS_EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
            )
            for key, request in self._types.items():
                name = topology.RequestQueue(self._service, request.kind).name
                queue = await channel.get_queue(name, ensure=False)
                await queue.bind(exchange, key)
        finally:
            await channel.close()

    async def stop(self) -> None:
        """Finish what is being answered, then disconnect."""
        await self._broker.stop()

    async def _serve(self, message: RabbitMessage) -> None:
        begun = time.perf_counter()
        reply = await self.answer(message.body, trace_headers(message.headers))
        key = str(message.raw_message.routing_key)
        outcome = reply.problem.kind if reply.problem else "ok"
        metrics.REQUEST_SECONDS.labels(key, outcome).observe(time.perf_counter() - begun)
        if message.reply_to:
            await self._broker.publish(
                aio_pika.Message(
                    reply.model_dump_json().encode(),
                    correlation_id=message.correlation_id,
                    content_type="application/json",
                ),
                queue=message.reply_to,
                mandatory=False,  # a caller that has gone needs no answer
            )

    async def answer(self, body: bytes, trace: Mapping[str, str]) -> Reply:
        """Carry out one request; whatever happens becomes a reply."""
        try:
            envelope = RequestEnvelope.model_validate_json(body)
            request = self._types[envelope.key].model_validate(envelope.body)
        except KeyError:
            return _problem("internal", "unknown_request", "This service does not know it.")
        except ValidationError as error:
            return Reply(
                problem=Problem(
                    kind="invalid",
                    code="validation_failed",
                    detail="The request has invalid fields.",
                    errors=field_errors(error),
                )
            )
        if datetime.now(UTC) > envelope.deadline:
            return _problem("timeout", "deadline_exceeded", "The caller no longer waits.")
        with tracing.span(envelope.key, trace) as context:
            try:
                return await self._execute(envelope, request, context)
            except ProblemError as error:
                return Reply(problem=error.problem)
            except Exception as error:
                if is_infrastructure(error):
                    return _problem("unavailable", "database_unavailable", "Try again shortly.")
                log.exception("request_failed", key=envelope.key)
                return _problem("internal", "internal_error", "Something went wrong on our side.")

    async def _execute(
        self,
        envelope: RequestEnvelope,
        request: Request,
        trace: Mapping[str, str],
    ) -> Reply:
        call = Call(envelope.principal, envelope.correlation_id, envelope.expected_version)
        cause = Cause(envelope.correlation_id, None, trace)
        seconds = (envelope.deadline - datetime.now(UTC)).total_seconds()
        if external := self._external.get(envelope.key):
            async with asyncio.timeout(max(seconds, 0.05)):
                return Reply(value=(await external(request, call)).model_dump(mode="json"))
        async with (
            asyncio.timeout(max(seconds, 0.05)),
            self._database.tenant(
                envelope.principal.tenant_id, cause=cause, read_only=request.kind == "query"
            ) as tx,
        ):
            key = envelope.idempotency_key if request.kind == "command" else None
            if key is not None:
                stored = await find_reply(tx, call, key, envelope.key, envelope.body)
                if stored is not None:
                    return stored
            value = await self._handlers[envelope.key](tx, request, call)
            reply = Reply(value=value.model_dump(mode="json"))
            if key is not None:
                await store_reply(tx, call, key, envelope.key, envelope.body, reply)
            return reply


def _caller(call: Call) -> str:
    return str(call.principal.user_id or "")


def _request_hash(request_key: str, body: Mapping[str, Any]) -> str:
    canonical = orjson.dumps([request_key, body], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()


async def find_reply(
    tx: Transaction, call: Call, key: str, request_key: str, body: Mapping[str, Any]
) -> Reply | None:
    """The reply stored for this idempotency key, if the command was carried out before.

    Raises InvalidError when the key was used for another request and ConflictError while the
    first one is still running (it holds the lock until it commits).
    """
    free = await tx.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))",
        f"{tx.tenant_id}/{_caller(call)}/{key}",
    )
    if not free:
        raise ConflictError(
            "idempotency_key_in_use", "The first request with this Idempotency-Key still runs."
        )
    row = await tx.fetchrow(
        "SELECT request_hash, reply FROM command_replies"
        " WHERE tenant_id = $1 AND caller = $2 AND idempotency_key = $3",
        tx.tenant_id,
        _caller(call),
        key,
    )
    if row is None:
        return None
    if row["request_hash"] != _request_hash(request_key, body):
        raise InvalidError(
            "idempotency_key_reused", "This Idempotency-Key was used for a different request."
        )
    return Reply.model_validate(row["reply"]).model_copy(update={"replayed": True})


async def store_reply(
    tx: Transaction, call: Call, key: str, request_key: str, body: Mapping[str, Any], reply: Reply
) -> None:
    """Keep the reply in the transaction of the effect: both exist, or neither."""
    await tx.execute(
        "INSERT INTO command_replies (tenant_id, caller, idempotency_key, request_hash, reply)"
        " VALUES ($1, $2, $3, $4, $5)",
        tx.tenant_id,
        _caller(call),
        key,
        _request_hash(request_key, body),
        reply.model_dump(mode="json"),
    )


def field_errors(error: ValidationError) -> list[FieldError]:
    """Pydantic's findings as field errors with JSON pointers."""
    return [
        FieldError(
            pointer="/" + "/".join(str(part) for part in e["loc"]),
            code=e["type"],
            message=e["msg"],
        )
        for e in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def _problem(kind: Any, code: str, detail: str) -> Reply:
    return Reply(problem=Problem(kind=kind, code=code, detail=detail))


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
        if not self._connected or not is_connected(self._broker):
            raise UnavailableError(
                "broker_unavailable", "The message broker is away; try again shortly."
            )
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
