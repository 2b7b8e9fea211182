"""The outermost layers of the API: request ids, security headers, which pages of others may ask,
and an answer to everything."""

import re
import time
from collections.abc import Mapping, Sequence
from uuid import uuid4

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from prometheus_client import Histogram
from service_kit import tracing
from service_kit.errors import ProblemError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_gateway.mail.languages import DEFAULT, preferred
from crm_gateway.problems.errors import HttpError, of_error
from crm_gateway.problems.words import in_language

log = structlog.get_logger()

SECONDS = Histogram(
    "crm_http_request_duration_seconds", "REST requests answered", ["method", "route", "status"]
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SCOPE_KEY = "crm.request_id"
_ANSWER_KEY = "crm.answer_headers"

# As OWASP's REST Security Cheat Sheet asks for: nobody frames, sniffs or downgrades what we say.
_GUARDED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
}
_OF_DATA = "default-src 'none'; frame-ancestors 'none'"
# Swagger UI starts by a script in its page and draws with styles and images of its own.
_OF_PAGES = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; frame-ancestors 'none'"
)

# What a page of another origin may send and see beside what browsers allow anyway (Fetch standard,
# "CORS protocol"). Who asks is told by a header it sets itself: cookies are neither sent nor read.
_ASKED_BY = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_SENT = (
    "Authorization",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-Api-Key",
    "X-Request-Id",
    "traceparent",
    "tracestate",
)
_SEEN = (
    "Deprecation",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    "X-Request-Id",
)


def request_id(scope: Scope) -> str:
    """The id of this request: the caller's X-Request-Id, or one of our own."""
    return str(scope[_SCOPE_KEY])


def answer_with(scope: Scope, headers: Mapping[str, str]) -> None:
    """Have these headers in the answer, whatever it will be, beside what it says itself."""
    scope.setdefault(_ANSWER_KEY, []).extend(headers.items())


def trace_context(headers: Headers) -> dict[str, str]:
    """The caller's W3C trace context, or the beginning of a new one."""
    return tracing.accepted(headers) or tracing.new_context()


def problem_response(scope: Scope, error: HttpError) -> Response:
    """The problem document as a response, in the language that is asked for, if we speak it."""
    language = preferred(Headers(scope=scope).get("accept-language", "")) or DEFAULT
    document = in_language(error.document(request_id(scope), scope["path"]), language)
    return Response(
        orjson.dumps(document),
        error.status,
        headers={**error.headers, "Content-Language": language},
        media_type="application/problem+json",
    )


class Answers:
    """ASGI middleware: leaves no exception unanswered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        begun = scope["type"] != "http"

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:
            if begun:
                raise
            await problem_response(scope, _answerable(error))(scope, receive, send)


class Edge:
    """ASGI middleware: names the request and guards the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope[_SCOPE_KEY] = given if _REQUEST_ID.fullmatch(given) else str(uuid4())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation_id=scope[_SCOPE_KEY])
        began, status = time.perf_counter(), 0

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                headers["X-Request-Id"] = scope[_SCOPE_KEY]
                for name, value in scope.get(_ANSWER_KEY, ()):
                    headers.append(name, value)
                headers.update(_GUARDED)
                is_page = scope["path"].startswith("/docs")
                headers["Content-Security-Policy"] = _OF_PAGES if is_page else _OF_DATA
                if scope["path"].startswith("/api/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, guarded)
        route = scope.get("route")
        # Methods that no route has are whatever a caller makes up: they must not become labels.
        if status and isinstance(route, APIRoute) and scope["method"] in (route.methods or ()):
            SECONDS.labels(scope["method"], route.path, status).observe(time.perf_counter() - began)


def _answerable(error: Exception) -> HttpError:
    if isinstance(error, HttpError):
        return error
    if isinstance(error, ProblemError):
        return of_error(error)
    log.exception("request_failed", exc_info=error)
    return HttpError(500, "internal_error", "Something went wrong on our side.")


async def _routing_problem(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses, such as unknown paths."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        refused = HttpError(404, "route_not_found", "There is no such route.")
    else:
        code = "method_not_allowed" if error.status_code == 405 else "refused"
        refused = HttpError(error.status_code, code, str(error.detail), headers=error.headers)
    return problem_response(request.scope, refused)


def install(app: FastAPI, origins: Sequence[str] = ()) -> None:
    """Make every answer of the application carry its id, and every failure be a problem.

    `origins`: whose pages may ask us from within a browser, by CORS.
    """
    app.add_middleware(Answers)
    if origins:  # around what answers failures: pages shall read those as well
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_ASKED_BY,
            allow_headers=_SENT,
            expose_headers=_SEEN,
        )
    app.add_middleware(Edge)
    app.add_exception_handler(HTTPException, _routing_problem)
