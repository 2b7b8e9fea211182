"""The routes that answer with a stream."""

from typing import Any

from shared_events.requests import Principal
from shared_events.webhooks.event import FollowEvents
from starlette.requests import Request
from starlette.responses import Response

from crm_gateway.live.stream import EventStream
from crm_gateway.problems.edge import request_id
from crm_gateway.rest.endpoint import Endpoint


class LiveEndpoint(Endpoint):
    """Answers with what follows a place in the feed, for as long as the caller may see it."""

    async def __call__(self, http: Request, **values: Any) -> Response:
        """The stream, once its first page is there: until then a refusal can be told as any."""
        principal: Principal = values["principal"]
        request: FollowEvents = values["given"]
        if last_event_id := values["last_event_id"]:
            request = request.model_copy(update={"after": last_event_id})
        streams = self.backing.streams
        streams.check(principal.tenant_id)
        first = await streams.pages.read(request, principal, request_id(http.scope))

        async def admit() -> Principal:
            callers, despite = self.backing.callers, self.row.despite
            return self._permitted(await callers.principal(http, despite=despite))

        return EventStream(streams, principal.tenant_id, request, first, admit)
