"""The REST API: FastAPI's routes, made from the one-page table."""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from service_kit.errors import InvalidError, NotFoundError, ProblemError
from service_kit.request_client import RequestClient
from shared_events.requests import FieldError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from crm_gateway.access.tokens import AccessTokens
from crm_gateway.problems.edge import problem_response
from crm_gateway.problems.errors import method_not_allowed, of_error
from crm_gateway.rest import openapi
from crm_gateway.rest.docs import docs_routes
from crm_gateway.rest.endpoint import Endpoint
from crm_gateway.rest.own import OwnRequests
from crm_gateway.rest.strictness import invalid_cursor
from crm_gateway.rest.table import PREFIX, Row


class Route(APIRoute):
    """A route that refuses in our order: 401 and 403, then the body, then its fields."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind the endpoint's own door."""
        handle = super().get_route_handler()
        endpoint = self.endpoint
        assert isinstance(endpoint, Endpoint)

        async def admitted(http: Request) -> Response:
            return await handle(await endpoint.admit(http))

        return admitted


def add_to(
    app: FastAPI,
    rows: Sequence[Row],
    *,
    tokens: AccessTokens,
    own: OwnRequests,
    bus: RequestClient,
) -> None:
    """Serve every row of the table, and the pages that describe them."""
    router = APIRouter(prefix=PREFIX, route_class=Route, strict_content_type=False)
    for row in rows:
        endpoint = Endpoint(row, tokens=tokens, own=own, bus=bus)
        router.add_api_route(row.path, endpoint, methods=[row.method], **openapi.operation(row))
        if row.method == "GET":
            router.add_api_route(row.path, endpoint, methods=["HEAD"], include_in_schema=False)
    app.include_router(router)
    app.router.redirect_slashes = False  # `/contacts/` is no route of ours
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(405, partial(_wrong_method, router))
    app.router.routes.extend(docs_routes(openapi.document(router.routes)))


async def _wrong_method(router: APIRouter, http: Request, _: Exception) -> Response:
    """Tell the methods of the path: each is a route of its own."""
    methods = {
        method
        for route in router.routes
        if isinstance(route, APIRoute) and route.matches(http.scope)[0] is not Match.NONE
        for method in (route.methods or set()) - {"HEAD"}
    }
    return problem_response(http.scope, method_not_allowed(list(methods)))


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
            pointer="/" + "/".join(str(part) for part in each["loc"][1:]),
            code=each["type"],
            message=each["msg"],
        )
        for each in found
    ]
    return InvalidError("validation_failed", "The request has invalid fields.", errors=errors)
