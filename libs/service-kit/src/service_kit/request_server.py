"""Answering over the bus (design section 3, `crm.requests`).

Every failure becomes a reply, a request past its deadline is not executed, and a command with an
idempotency key is carried out once.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import aio_pika
import structlog
from faststream import AckPolicy
from faststream.rabbit import RabbitBroker, RabbitMessage, RabbitQueue
from pydantic import ValidationError
from shared_events import topology
from shared_events.requests.base import Problem, ProblemKind, Reply, Request, RequestEnvelope

from service_kit import metrics, tracing
from service_kit.bus import connect, discard, make_broker, short_channel
from service_kit.calls import Call, ExternalHandler, RequestHandler
from service_kit.database import Database, is_infrastructure
from service_kit.errors import ProblemError, field_errors
from service_kit.idempotency import find_reply, store_reply
from service_kit.outbox import Cause
from service_kit.tracing import trace_headers

log = structlog.get_logger()


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
        async with short_channel(self._broker) as channel:
            exchange = await channel.declare_exchange(
                topology.REQUESTS_EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
            )
            for key, request in self._types.items():
                name = topology.RequestQueue(self._service, request.kind).name
                queue = await channel.get_queue(name, ensure=False)
                await queue.bind(exchange, key)

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


def _problem(kind: ProblemKind, code: str, detail: str) -> Reply:
    return Reply(problem=Problem(kind=kind, code=code, detail=detail))
