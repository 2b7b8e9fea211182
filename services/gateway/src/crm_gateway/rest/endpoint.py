"""One row of the route table at work: what FastAPI reads of it, and how it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature
from typing import Any

import orjson
from fastapi import Body, Header, Path, Query, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, ValidationError, create_model
from service_kit import tracing
from service_kit.cause import Cause
from service_kit.errors import (
    ForbiddenError,
    InvalidError,
    field_errors,
)
from service_kit.request_client import RequestClient
from shared_events import examples
from shared_events.permissions import permits
from shared_events.requests import Principal, Problem, Reply
from shared_events.requests import Request as BusRequest
from starlette.requests import Request
from starlette.responses import Response

from crm_gateway.access.callers import Callers, address_of, language_of
from crm_gateway.access.quotas import Quotas
from crm_gateway.audit.service import Act, Witness
from crm_gateway.body import SMALL_BODY_BYTES, Bodies, Room
from crm_gateway.live.streams import Streams
from crm_gateway.media.files import Files
from crm_gateway.problems.edge import answer_with, request_id, trace_context
from crm_gateway.problems.errors import HttpError, of_problem
from crm_gateway.rest.headers import entity_tag, expected_version, idempotency_key, unchanged
from crm_gateway.rest.links import next_page
from crm_gateway.rest.own import OwnCall, OwnRequests, Visitor, is_own
from crm_gateway.rest.selection import Selectable, selected
from crm_gateway.rest.strictness import JsonRequest, check_query, read_json
from crm_gateway.rest.table import AUTHENTICATED, PREFIX, PUBLIC, Row


class _Bearer(SecurityBase):
    """FastAPI's `HTTPBearer`, whose credentials `Endpoint.admit` judged before the body was read:
    what it gives is who asks, by an API key as well."""

    def __init__(self) -> None:
        self.scheme_name = "bearer"
        self.model = HTTPBearer(bearerFormat="JWT")

    async def __call__(self, http: Request) -> Principal:
        """Who asks."""
        principal: Principal = http.state.principal
        return principal


_BEARER = _Bearer()


@dataclass(frozen=True, slots=True)
class Backing:
    """What every endpoint stands on: who says who asks and how much they may, who sees what is
    done, who does it, where files and bodies are, and who follows what happens."""

    callers: Callers
    quotas: Quotas
    witness: Witness
    own: OwnRequests
    bus: RequestClient
    files: Files
    streams: Streams
    bodies: Bodies


class Endpoint:
    """Answers one route. Its signature tells FastAPI of path, query, body and headers."""

    def __init__(self, row: Row, backing: Backing) -> None:
        self.row = row
        self.backing = backing
        self._given = _given(row)
        self._goes_on_at = row.goes_on_at
        self._known = _names(self._given) if row.by_query and self._given is not None else {}
        self._selectable = Selectable(row) if row.is_selectable else None
        if self._selectable is not None:
            self._known |= self._selectable.parameters
        self.__signature__ = Signature(_parameters(row, self._given))

    async def admit(self, http: Request, room: Room) -> Request:
        """The request, once everything that comes before its fields is in order.

        Raises 401, 429 and 403 first: nobody unknown has us read a body. Then 400, 413, 415, 422.
        """
        if self.row.permission != PUBLIC:
            http.state.principal = await self.authorise(http)
        check_query(http.query_params, self._known)
        if self.row.method == "GET":
            return self._selectable.read(http) if self._selectable else http
        if self.row.permission == PUBLIC:
            body = await room.read(http, address_of(http), most=SMALL_BODY_BYTES)
        else:
            body = await room.read(http, http.state.principal.tenant_id)
        parsed = read_json(http, body)
        if parsed and (self._given is None or self.row.by_query):
            raise InvalidError.field(
                [next(iter(parsed))], "extra_forbidden", "Not a field of this."
            )
        return JsonRequest(http, parsed)

    async def authorise(self, http: Request) -> Principal:
        """Who asks; raises when it is nobody we know or somebody who may not."""
        principal = await self.backing.callers.principal(http, despite=self.row.despite)
        answer_with(http.scope, self.backing.quotas.take(principal))
        permitted = self._permitted(principal)
        return await self.backing.callers.alone(permitted) if self.row.four_eyes else permitted

    def _permitted(self, principal: Principal) -> Principal:
        """Who asks, again; raises ForbiddenError when that is somebody who may not."""
        needed = self.row.permission
        if needed != AUTHENTICATED and not permits(principal.permissions, needed):
            raise ForbiddenError(
                "permission_missing", f"This needs the permission {needed}.", permission=needed
            )
        return principal

    async def __call__(self, http: Request, **values: Any) -> Response:
        """Carry out the request that these values make, and answer it."""
        trace = tracing.following(trace_context(http.headers))
        principal: Principal | None = values.pop("principal", None)
        key = values.pop("idempotency_key", None)
        values.pop("if_match", None)  # FastAPI reads one line of it
        request = self._request(values)
        selection, shown = selected(http), None
        if principal is None:
            cause = Cause(request_id(http.scope), None, trace)
            visitor = Visitor(address_of(http), cause, language_of(http))
            reply = await self.backing.own.call_public(
                request, visitor, idempotency_key(key), self.row.keyed_by
            )
        else:
            call = OwnCall(
                principal,
                request_id(http.scope),
                expected_version(_all(http, "if-match") if self.row.takes_version else None),
                address_of(http),
                language_of(http),
            )
            hidden = await self._hidden(request, call, trace)
            reply = hidden or await self._ask(request, call, idempotency_key(key), trace)
            if selection is not None and reply.problem is None:
                shown = await selection.of(
                    reply.value or {},
                    principal,
                    lambda batch: self._ask(batch, call, None, trace),
                )
        if reply.problem is not None:
            raise refused(reply.problem, replayed=reply.replayed)
        return self._answer(reply, http, principal, shown)

    async def _hidden(
        self, request: BusRequest[Any], call: OwnCall, trace: Mapping[str, str]
    ) -> Reply | None:
        """Why what this is of is not there for the caller, where its service could not know."""
        if self.row.behind is None:
            return None
        named = {name: getattr(request, name) for name in self.row.behind.model_fields}
        if None in named.values():
            return None
        reply = await self.backing.bus.call(
            self.row.behind.model_validate(named),
            principal=call.principal,
            correlation_id=call.correlation_id,
            trace=trace,
        )
        return reply if reply.problem else None

    async def _ask(
        self,
        request: BusRequest[Any],
        call: OwnCall,
        idempotency_key: str | None,
        trace: Mapping[str, str],
    ) -> Reply:
        if is_own(request):
            return await self.backing.own.call(request, call, idempotency_key, trace)
        ask = partial(
            self.backing.bus.call,
            request,
            principal=call.principal,
            correlation_id=call.correlation_id,
            idempotency_key=idempotency_key,
            expected_version=call.expected_version,
            trace=trace,
        )
        if self.row.act is None:
            return await ask()
        # What is made has its id in the answer; else it is the last thing the path names.
        named = self.row.parameters if self.row.status != 201 else ()
        target_id = getattr(request, named[-1]) if named else None
        return await self.backing.witness.watch(Act(self.row.act, target_id), call, ask)

    def _request(self, values: dict[str, Any]) -> BusRequest[Any]:
        given: BaseModel | None = values.pop("given", None)
        if isinstance(given, BusRequest):
            return given
        fields = given.model_dump(exclude_unset=True, by_alias=True) if given else {}
        try:
            return self.row.request.model_validate({**fields, **values, **self.row.fixed})
        except ValidationError as error:  # rules between fields
            raise InvalidError(
                "validation_failed", "The request has invalid fields.", errors=field_errors(error)
            ) from None

    def _answer(
        self,
        reply: Reply,
        http: Request,
        principal: Principal | None,
        shown: dict[str, Any] | None = None,
    ) -> Response:
        """The reply, or what is `shown` of it."""
        row = self.row
        headers = _REPLAYED.copy() if reply.replayed else {}
        if row.status == 204:
            return Response(status_code=204, headers=headers)
        value: dict[str, Any] = reply.value or {}
        content = orjson.dumps(value if shown is None else shown)
        if "version" in value:
            headers["ETag"] = entity_tag(value["version"], content)
            if row.method == "GET" and unchanged(_all(http, "if-none-match"), headers["ETag"]):
                return Response(status_code=304, headers=headers)
        if self._goes_on_at is not None and value.get("has_more"):
            selection = selected(http)
            also = selection.asked if selection else ()
            headers["Link"] = next_page(http, self._goes_on_at, value["next_cursor"], also)
        if row.status == 201:
            template = row.location or row.path + "/{id}"
            headers["Location"] = PREFIX + template.format(**http.path_params, id=value.get("id"))
        if principal is not None:
            content = self.backing.files.links.written_out(content, principal.tenant_id)
        return Response(content, row.status, headers=headers, media_type="application/json")


def _all(http: Request, name: str) -> str:
    """A header that is a list, which may come in several lines (RFC 9110, 5.3)."""
    return ", ".join(http.headers.getlist(name))


_REPLAYED = {"Idempotent-Replayed": "true"}


def refused(problem: Problem, *, replayed: bool) -> HttpError:
    """The answer to what was refused, now or before; what is another by now leads there."""
    error = of_problem(problem)
    if replayed:
        error.headers.update(_REPLAYED)
    if problem.code == "contact_merged":
        error.headers["Location"] = f"{PREFIX}/contacts/{problem.extra['merged_into']}"
    return error


def _given(row: Row) -> type[BaseModel] | None:
    """What a caller gives beside the path: the request, without the fields the path gives."""
    fields = {n: f for n, f in row.request.model_fields.items() if n not in row.from_path}
    if not fields:
        return None
    if not row.from_path:
        return row.request
    suffix = "Query" if row.by_query else "Body"
    named: dict[str, Any] = {name: (field.annotation, field) for name, field in fields.items()}
    return create_model(
        row.request.__name__ + suffix,
        __config__=row.request.model_config,
        __doc__=row.request.__doc__,
        **named,
    )


def _names(query: type[BaseModel]) -> dict[str, bool]:
    """The public names of a query's fields, and whether each takes a list."""
    return {
        field.alias or name: getattr(field.annotation, "__origin__", None) is list
        for name, field in query.model_fields.items()
    }


def _parameters(row: Row, given: type[BaseModel] | None) -> list[Parameter]:
    """What FastAPI reads of the request: each name with its type and where it stands."""
    found: list[tuple[str, Any, Any]] = [("http", Request, Parameter.empty)]
    if row.permission != PUBLIC:
        scopes = [] if row.permission == AUTHENTICATED else [row.permission]
        found.append(("principal", Principal, Security(_BEARER, scopes=scopes)))
    for name in row.parameters:
        found.append((name, row.request.model_fields[name].annotation, Path()))
    if given is not None and row.by_query:
        found.append(("given", given, Query()))
    elif given is not None:
        required = any(field.is_required() for field in given.model_fields.values())
        body = Body(default=... if required else given(), openapi_examples=_examples(row))
        found.append(("given", given, body))
    if row.live:
        about = "Go on behind this: the last `id` that was read. Goes before `after`."
        last = Header(default=None, alias="Last-Event-ID", max_length=100, description=about)
        found.append(("last_event_id", str | None, last))
    if row.takes_key:
        about = "The same key again gives the same answer."
        key = Header(default=None, alias="Idempotency-Key", description=about)
        found.append(("idempotency_key", str | None, key))
    if row.takes_version:
        about = "Refuse unless this, or one of these, is still the version."
        match = Header(default=None, alias="If-Match", description=about)
        found.append(("if_match", str | None, match))
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=source)
        for name, kind, source in found
    ]


def _examples(row: Row) -> dict[str, Any]:
    try:
        example = examples.load_request(row.request.key)
    except LookupError:
        return {}
    return {"example": {"value": {k: v for k, v in example.items() if k not in row.from_path}}}
