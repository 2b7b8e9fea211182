"""The routes whose body is a file, and what those reached by a link have in common."""

from inspect import Parameter
from typing import Annotated, Any, ClassVar
from uuid import UUID

from fastapi import Query
from service_kit import tracing
from service_kit.errors import ConflictError, NotFoundError, UnavailableError
from service_kit.media_links import Linked
from shared_events.channels.media import LocateMedia, MediaPlace
from shared_events.requests import Principal
from shared_events.requests import Request as BusRequest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from crm_gateway.body import Room
from crm_gateway.media.files import as_attachment, part_of
from crm_gateway.problems.edge import request_id, trace_context
from crm_gateway.problems.errors import HttpError, of_problem
from crm_gateway.rest.endpoint import Backing, Endpoint
from crm_gateway.rest.strictness import JsonRequest, check_query
from crm_gateway.rest.table import Row

_PROOF = ("tenant", "expires", "signature")


class UploadEndpoint(Endpoint):
    """Takes a file as a form; what it turns out to be is the body of the request."""

    async def admit(self, http: Request, room: Room) -> Request:
        """The request, its file in the store. Raises 401, 429 and 403 before it reads."""
        del room  # a form has bounds of its own
        principal = await self.authorise(http)
        http.state.principal = principal
        check_query(http.query_params, {})
        return JsonRequest(http, await self.backing.files.take(http, principal.tenant_id))


class LinkedEndpoint(Endpoint):
    """Answers whoever has a link: the link proves itself, and says whose it leads to."""

    kind: ClassVar[Linked]

    def __init__(self, row: Row, backing: Backing) -> None:
        super().__init__(row, backing)
        proof = [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[str, Query()], default="")
            for name in _PROOF
        ]
        named = self.__signature__.parameters.values()
        self.__signature__ = self.__signature__.replace(
            parameters=[*(each for each in named if each.name != "given"), *proof]
        )

    async def admit(self, http: Request, room: Room) -> Request:
        """The request, if nothing but a link's parts are in its query."""
        del room  # nothing comes beside the link
        check_query(http.query_params, dict.fromkeys(_PROOF, False))
        return http

    def proved(self, http: Request, linked_id: UUID) -> Principal:
        """For whom the link was made; HttpError 403 for one that is not ours, or too old."""
        tenant_id = self.backing.files.links.proves(linked_id, http.query_params, self.kind)
        if tenant_id is None:
            raise HttpError(
                403, "invalid_link", "The link is not ours, or too old: ask for another."
            )
        return Principal(tenant_id=tenant_id)

    async def located(self, http: Request, media_id: UUID, principal: Principal) -> MediaPlace:
        """Where a file's bytes are; raises HttpError for what keeps channels from saying it."""
        asked = LocateMedia(media_id=media_id)
        return MediaPlace.model_validate(await self.told(http, asked, principal))

    async def told(
        self, http: Request, request: BusRequest[Any], principal: Principal
    ) -> dict[str, Any] | None:
        """What a service answers; HttpError for what it refuses."""
        reply = await self.backing.bus.call(
            request,
            principal=principal,
            correlation_id=request_id(http.scope),
            trace=tracing.following(trace_context(http.headers)),
        )
        if reply.problem is not None:
            raise of_problem(reply.problem)
        return reply.value


class DownloadEndpoint(LinkedEndpoint):
    """Gives a file."""

    kind = "media"

    async def __call__(self, http: Request, **values: Any) -> Response:
        """The file or the part of it that is asked for.

        Raises HttpError 403 for a link that is not ours or too old, 416; NotFoundError;
        ConflictError while there is no file; UnavailableError.
        """
        media_id: UUID = values["media_id"]
        principal = self.proved(http, media_id)
        place = await self.located(http, media_id, principal)
        if place.sha256 is None or place.size is None:
            raise ConflictError(f"media_{place.state}", "There is no file to download.")
        etag = f'"{place.sha256}"'
        part = part_of(http.headers, place.size, etag)
        start, length = part or (0, place.size)
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": as_attachment(place.filename),
            "Content-Length": str(length),
            "ETag": etag,
        }
        if part is not None:
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{place.size}"
        status = 200 if part is None else 206
        if http.method == "HEAD":
            return Response(None, status, headers, place.mime_type)
        try:
            chunks = await self.backing.files.store.read(
                principal.tenant_id, place.sha256, start, length
            )
        except FileNotFoundError:
            raise NotFoundError("media") from None
        except OSError:
            raise UnavailableError("store_unavailable", "Try again shortly.") from None
        return StreamingResponse(chunks, status, headers, place.mime_type)
