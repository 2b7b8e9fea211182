"""The REST API: FastAPI's routes, made from the one-page table."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from service_kit.errors import (
    InvalidError,
    NotFoundError,
    ProblemError,
    json_pointer,
    params_of,
)
from shared_events.requests import FieldError
from starlette import routing
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from crm_gateway.media.endpoints import DownloadEndpoint, UploadEndpoint
from crm_gateway.problems.edge import answer_with, problem_response
from crm_gateway.problems.errors import method_not_allowed, of_error
from crm_gateway.rest import openapi
from crm_gateway.rest.docs import docs_routes
from crm_gateway.rest.download import PartsEndpoint
from crm_gateway.rest.endpoint import Backing, Endpoint
from crm_gateway.rest.live import LiveEndpoint
from crm_gateway.rest.strictness import invalid_cursor
from crm_gateway.rest.table import PREFIX, Row
from crm_gateway.rest.upload import ImportEndpoint
from crm_gateway.subject_exports.endpoint import ArchiveEndpoint


class Route(APIRoute):
    """A route that refuses in our order: 401 and 403, then the body, then its fields."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind the endpoint's own door."""
        handle = super().get_route_handler()
        endpoint = self.endpoint
        assert isinstance(endpoint, Endpoint)
        deprecation = endpoint.row.deprecation

        async def admitted(http: Request) -> Response:
            if deprecation is not None:
                answer_with(http.scope, deprecation.headers)
            async with endpoint.backing.bodies.room() as room:
                return await handle(await endpoint.admit(http, room))

        return admitted

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As ever, but the method is looked at first: it is cheap, and patterns are many."""
        if scope["type"] == "http" and scope["method"] not in (self.methods or ()):
            return Match.NONE, {}
        return super().matches(scope)


class OtherMethods:
    """The end of a path: reached by the methods that none of its routes has."""

    def __init__(self, methods: list[str]) -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, and tell the methods the path has."""
        await problem_response(scope, method_not_allowed(self._methods))(scope, receive, send)


def add_to(
    app: FastAPI,
    rows: Sequence[Row],
    backing: Backing,
) -> None:
    """Serve every row of the table, and the pages that describe them."""
    router = APIRouter(prefix=PREFIX, route_class=Route, strict_content_type=False)
    ends: list[BaseRoute] = []
    for path, of_path in _by_path(rows).items():
        for row in of_path:
            endpoint = _kind(row)(row, backing)
            router.add_api_route(path, endpoint, methods=[row.method], **openapi.operation(row))
            if row.method == "GET" and not row.live:
                router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
        others = OtherMethods([row.method for row in of_path])
        end = routing.Route(PREFIX + path, others, include_in_schema=False)
        # A path without parameters ends where it stands, so that `GET /messages/send` asks for no
        # message of that name. The others end after all routes, where no request passes them.
        (ends if of_path[0].parameters else router.routes).append(end)
    router.routes.extend(ends)
    # In front and not included: an included router is matched twice, by every request.
    app.router.routes[:0] = [*router.routes, *docs_routes(openapi.document(router.routes, rows))]
    app.router.redirect_slashes = False  # `/contacts/` is no route of ours
    app.add_exception_handler(RequestValidationError, _invalid)


_FILES: dict[str, type[Endpoint]] = {
    "in": UploadEndpoint,
    "out": DownloadEndpoint,
    "archive": ArchiveEndpoint,
}


def _kind(row: Row) -> type[Endpoint]:
    if row.live:
        return LiveEndpoint
    if row.file is not None:
        return _FILES[row.file]
    if row.pieces is not None:
        return ImportEndpoint
    return PartsEndpoint if row.gives_file else Endpoint


def _by_path(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.path, []).append(row)
    return found


async def _invalid(http: Request, error: Exception) -> Response:
    """FastAPI's findings as one problem; a path that cannot name anything names nothing."""
    assert isinstance(error, RequestValidationError)
    return problem_response(http.scope, of_error(_problem(error)))


def _problem(error: RequestValidationError) -> ProblemError:
    found = error.errors()
    for each in found:
        if each["loc"] == ("query", "cursor"):
            return invalid_cursor()
        if each["loc"][0] == "path":
            return NotFoundError(str(each["loc"][1]).removesuffix("_id"))
    errors = [
        FieldError(
            pointer=json_pointer(*each["loc"][1:]),
            code=each["type"],
            message=each["msg"],
            params=params_of(each),
        )
        for each in found
    ]
    return InvalidError("validation_failed", "The request has invalid fields.", errors=errors)
