"""Routes that give a file: it comes from its service piece by piece, as fast as it is taken."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from service_kit import tracing
from shared_events.jobs import FilePart
from shared_events.requests import Request as BusRequest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from crm_gateway.access.callers import address_of
from crm_gateway.problems.edge import request_id, trace_context
from crm_gateway.problems.errors import of_problem
from crm_gateway.rest.endpoint import Endpoint
from crm_gateway.rest.own import OwnCall


class PartsEndpoint(Endpoint):
    """Answers a route whose reply is a file."""

    async def __call__(self, http: Request, **values: Any) -> Response:
        """The file. What keeps its first piece from coming is a problem like any other."""
        trace = tracing.following(trace_context(http.headers))
        call = OwnCall(values.pop("principal"), request_id(http.scope), None, address_of(http))
        request = self._request(values)
        first = await self._part(request, call, trace)
        headers = {"Content-Disposition": f'attachment; filename="{first.filename}"'}
        if http.method == "HEAD":
            return Response(headers=headers, media_type=first.media_type)
        content = self._rest(request, first, call, trace)
        return StreamingResponse(content, headers=headers, media_type=first.media_type)

    async def _rest(
        self, request: BusRequest[Any], part: FilePart, call: OwnCall, trace: Mapping[str, str]
    ) -> AsyncIterator[str]:
        """Piece after piece; a failure breaks the answer off, so that nobody takes it for whole."""
        yield part.content
        while part.next_cursor is not None:
            request = request.model_copy(update={"cursor": part.next_cursor})
            part = await self._part(request, call, trace)
            yield part.content

    async def _part(
        self, request: BusRequest[Any], call: OwnCall, trace: Mapping[str, str]
    ) -> FilePart:
        reply = await self._ask(request, call, None, trace)
        if reply.problem is not None:
            raise of_problem(reply.problem)
        return FilePart.model_validate(reply.value)
