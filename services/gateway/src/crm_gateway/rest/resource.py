"""One path of the API: checks the caller, asks whoever knows, answers.

Refusals come in this order: 405, 401, 403, then what is wrong with the request itself.
"""

import time
from collections.abc import Mapping
from typing import Any

import orjson
from prometheus_client import Histogram
from service_kit import tracing
from service_kit.cause import Cause
from service_kit.errors import ForbiddenError, ProblemError, UnauthenticatedError
from service_kit.request_client import RequestClient
from shared_events.requests import Principal, Reply
from shared_events.requests import Request as BusRequest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crm_gateway.access.roles import permits
from crm_gateway.access.tokens import AccessTokens
from crm_gateway.auth.service import Visitor
from crm_gateway.problems.edge import problem_response, request_id, trace_context
from crm_gateway.problems.errors import HttpError, method_not_allowed, of_error, of_problem
from crm_gateway.rest.own import OwnRequests
from crm_gateway.rest.parsing import expected_version, idempotency_key, parse, unchanged
from crm_gateway.rest.table import AUTHENTICATED, PREFIX, PUBLIC, Row

SECONDS = Histogram(
    "crm_http_request_duration_seconds", "REST requests answered", ["method", "route", "status"]
)
_OWN = "gateway."


class Resource:
    """An ASGI endpoint for all methods of one path."""

    def __init__(
        self,
        rows: Mapping[str, Row],
        *,
        tokens: AccessTokens,
        own: OwnRequests,
        bus: RequestClient,
    ) -> None:
        self._rows = rows
        self._tokens = tokens
        self._own = own
        self._bus = bus

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = time.perf_counter()
        http = Request(scope, receive)
        row = self._rows.get("GET" if http.method == "HEAD" else http.method)
        try:
            if row is None:
                raise method_not_allowed(list(self._rows))
            with tracing.span(f"{row.method} {row.path}", trace_context(http.headers)) as trace:
                response = await self._respond(row, http, trace)
        except ClientDisconnect:
            return  # nobody is left to answer
        except HttpError as error:
            response = problem_response(scope, error)
        except ProblemError as error:
            response = problem_response(scope, of_error(error))
        if row is not None:
            SECONDS.labels(row.method, row.path, response.status_code).observe(
                time.perf_counter() - begun
            )
        await response(scope, receive, send)

    async def _respond(self, row: Row, http: Request, trace: Mapping[str, str]) -> Response:
        if row.permission == PUBLIC:
            request = await parse(row, http)
            address = http.client.host if http.client else ""
            visitor = Visitor(address, Cause(request_id(http.scope), None, trace))
            reply = await self._own.call_public(request, visitor)
        else:
            principal = self._authorise(row, http)
            request = await parse(row, http)
            reply = await self._ask(request, principal, http, trace)
        if reply.problem is not None:
            raise of_problem(reply.problem)
        return _success(row, http, reply)

    def _authorise(self, row: Row, http: Request) -> Principal:
        """Who asks; raises when it is nobody we know or somebody who may not."""
        scheme, _, token = http.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("token_missing", "Send Authorization: Bearer <token>.")
        principal = self._tokens.principal(token.strip())
        if row.permission != AUTHENTICATED and not permits(principal.permissions, row.permission):
            raise ForbiddenError(
                "permission_missing", f"This needs the permission {row.permission}."
            )
        return principal

    async def _ask(
        self,
        request: BusRequest[Any],
        principal: Principal,
        http: Request,
        trace: Mapping[str, str],
    ) -> Reply:
        answerer = self._own if request.key.startswith(_OWN) else self._bus
        changes = request.kind == "command"
        return await answerer.call(
            request,
            principal=principal,
            correlation_id=request_id(http.scope),
            idempotency_key=idempotency_key(http.headers) if changes else None,
            expected_version=expected_version(http.headers) if changes else None,
            trace=trace,
        )


def _success(row: Row, http: Request, reply: Reply) -> Response:
    headers = {"Idempotent-Replayed": "true"} if reply.replayed else {}
    if row.status == 204:
        return Response(status_code=204, headers=headers)
    value: dict[str, Any] = reply.value or {}
    if "version" in value:
        headers["ETag"] = f'"{value["version"]}"'
        if row.method == "GET" and unchanged(http.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
    if row.status == 201:
        template = row.location or row.path + "/{id}"
        headers["Location"] = PREFIX + template.format(id=value.get("id"))
    return Response(orjson.dumps(value), row.status, headers=headers, media_type="application/json")
