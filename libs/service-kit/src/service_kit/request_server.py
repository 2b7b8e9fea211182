"""Answering over the bus (docs/architecture.md, "Requests").

Every failure becomes a reply, a request past its deadline is not executed, and a command with an
idempotency key is carried out once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from faststream.rabbit import RabbitBroker, RabbitMessage, RabbitQueue, RabbitResponse
from pydantic import ValidationError
from shared_events import topology
from shared_events.queues import Binding
from shared_events.requests import Kind, Problem, ProblemKind, Reply, Request, RequestEnvelope
from shared_events.services import ServiceName

from service_kit import metrics, tracing
from service_kit.calls import Call, ExternalHandler, RequestHandler
from service_kit.database import Database, is_infrastructure
from service_kit.errors import ProblemError, field_errors
from service_kit.handling import carry_out, carry_out_elsewhere
from service_kit.router import Router
from service_kit.settings import ConfigurationError
from service_kit.signing import GOOD_FOR, Signatures

log = structlog.get_logger()

_PREFETCH = 64
PATIENCE_SECONDS = 0.5
_LOOK_SECONDS = 0.05

AnyRequest = type[Request[Any]]


class RequestServer:
    """Answers the requests of one service, each in a transaction for the caller's tenant."""

    def __init__(self, service: ServiceName, database: Database, signatures: Signatures) -> None:
        self._service = service
        self._database = database
        self._signatures = signatures
        self._handlers: dict[AnyRequest, RequestHandler[Any, Any]] = {}
        self._external: dict[AnyRequest, ExternalHandler[Any, Any]] = {}

    @property
    def requests(self) -> tuple[AnyRequest, ...]:
        """What it answers."""
        return (*self._handlers, *self._external)

    def answer(self, request: AnyRequest, handler: RequestHandler[Any, Any]) -> None:
        """Answer this request in a transaction."""
        self._refuse_a_second(request)
        self._handlers[request] = handler

    def answer_external(self, request: AnyRequest, handler: ExternalHandler[Any, Any]) -> None:
        """Answer this request without one."""
        self._refuse_a_second(request)
        self._external[request] = handler

    def _refuse_a_second(self, request: AnyRequest) -> None:
        if request in self.requests:
            raise ConfigurationError([f"{request.key} has two handlers"])

    def subscribe(self, router: Router) -> None:
        """Register one subscriber for queries and one for commands, a handler for each key."""
        kinds: tuple[Kind, ...] = ("query", "command")
        for kind in kinds:
            asked = [request for request in self.requests if request.kind == kind]
            if not asked:
                continue
            queue = topology.request_queue(self._service, kind)
            subscriber = router.request_subscriber(
                queue, self._signatures, prefetch=_PREFETCH, title=queue.name
            )
            for request in asked:
                subscriber(self._serving(request), filter=_for_key(request.key))
            subscriber(self._refusing())

    @property
    def queues(self) -> tuple[RabbitQueue, ...]:
        """The queues it takes them from."""
        kinds = {request.kind for request in self.requests}
        return tuple(topology.request_queue(self._service, kind) for kind in sorted(kinds))

    @property
    def parts(self) -> list[tuple[RabbitQueue, Sequence[Binding]]]:
        """The queues, with what brings requests to each."""
        found: dict[str, list[Binding]] = {queue.name: [] for queue in self.queues}
        for request in self.requests:
            queue = topology.request_queue(self._service, request.kind)
            found[queue.name].append(Binding(topology.CRM_REQUESTS.name, request.key))
        return [(queue, found[queue.name]) for queue in self.queues]

    async def bind(self, broker: RabbitBroker) -> None:
        """Have the requests brought to the queues."""
        await broker.declare_exchange(topology.CRM_REQUESTS)
        for queue, sources in self.parts:
            declared = await broker.declare_queue(queue)
            for one in sources:
                await declared.bind(one.source, one.key)

    def _serving(self, request: AnyRequest) -> Callable[[Any], Awaitable[RabbitResponse]]:
        async def serve(message: RabbitMessage) -> RabbitResponse:
            begun = time.perf_counter()
            reply = await self.reply(
                request,
                message.body,
                _call_id(message.message_id),
                tracing.accepted(message.headers),
            )
            outcome = reply.problem.kind if reply.problem else "ok"
            metrics.REQUEST_SECONDS.labels(request.key, outcome).observe(
                time.perf_counter() - begun
            )
            return _response(reply)

        # What FastStream reads for AsyncAPI; nothing is injected by it.
        serve.__name__, serve.__doc__ = request.key, request.__doc__
        serve.__annotations__["message"] = RequestEnvelope.__class_getitem__(request)
        return serve

    def _refusing(self) -> Callable[[Any], Awaitable[RabbitResponse]]:
        async def unknown_request(message: RabbitMessage) -> RabbitResponse:
            """A request no handler is registered for."""
            del message
            return _response(
                _problem("internal", "unknown_request", "This service does not know it.")
            )

        return unknown_request

    async def reply(
        self, request: AnyRequest, body: bytes, call_id: UUID | None, trace: Mapping[str, str]
    ) -> Reply:
        """Carry out one request; whatever happens becomes a reply.

        `call_id` is the same each time the broker delivers the same call.
        """
        try:
            envelope = RequestEnvelope[dict[str, Any]].model_validate_json(body)
            asked = request.model_validate(envelope.body)
        except ValidationError as error:
            return Reply(
                problem=Problem(
                    kind="invalid",
                    code="validation_failed",
                    detail="The request has invalid fields.",
                    errors=field_errors(error),
                )
            )
        seconds = _seconds_left(envelope)
        if seconds <= 0 or datetime.now(UTC) > envelope.deadline + GOOD_FOR:
            return _problem("timeout", "deadline_exceeded", "The caller no longer waits.")
        try:
            async with asyncio.timeout(seconds):
                return await self._execute(envelope, asked, call_id, tracing.following(trace))
        except ProblemError as error:
            return Reply(problem=error.problem)
        except TimeoutError:
            return _problem("timeout", "deadline_exceeded", "It took longer than there was time.")
        except Exception as error:
            if is_infrastructure(error):
                return _problem("unavailable", "database_unavailable", "Try again shortly.")
            log.exception("request_failed", key=envelope.key)
            return _problem("internal", "internal_error", "Something went wrong on our side.")

    async def _execute(
        self,
        envelope: RequestEnvelope[dict[str, Any]],
        request: Request[Any],
        call_id: UUID | None,
        trace: Mapping[str, str],
    ) -> Reply:
        """Carry it out; look again for half a second for what another service may just have told.

        Between two looks there is no transaction and no connection, so that waiting costs nobody
        else anything.
        """
        several = envelope.expected_versions
        expected = frozenset(several) if several else envelope.expected_version
        call = Call(envelope.principal, envelope.correlation_id, expected)
        if external := self._external.get(type(request)):
            return await carry_out_elsewhere(
                self._database,
                external,
                request,
                call,
                body=envelope.body,
                idempotency_key=envelope.idempotency_key,
                call_id=call_id,
            )
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await carry_out(
                    self._database,
                    self._handlers[type(request)],
                    request,
                    call,
                    body=envelope.body,
                    idempotency_key=envelope.idempotency_key,
                    trace=trace,
                    call_id=call_id,
                )
            except ProblemError as error:
                if not error.may_come or time.monotonic() > gives_up_at:
                    raise
            await asyncio.sleep(_LOOK_SECONDS)


def _seconds_left(envelope: RequestEnvelope[dict[str, Any]]) -> float:
    """How long its caller will still wait; no more than that may be worked on it."""
    if envelope.timeout_ms is not None:
        return envelope.timeout_ms / 1000
    return (envelope.deadline - datetime.now(UTC)).total_seconds()


def _call_id(message_id: str | None) -> UUID | None:
    try:
        return UUID(message_id)
    except (TypeError, ValueError):  # not sent by our client
        return None


def _for_key(key: str) -> Callable[[RabbitMessage], Awaitable[bool]]:
    # A coroutine: FastStream has a thread call a plain function, for each handler it tries.
    async def is_asked(message: RabbitMessage) -> bool:
        return message.raw_message.routing_key == key

    return is_asked


def _response(reply: Reply) -> RabbitResponse:
    # A caller that has gone needs no answer, so nobody minds an unroutable one.
    return RabbitResponse(
        reply.model_dump_json().encode(), content_type="application/json", mandatory=False
    )


def _problem(kind: ProblemKind, code: str, detail: str) -> Reply:
    return Reply(problem=Problem(kind=kind, code=code, detail=detail))
