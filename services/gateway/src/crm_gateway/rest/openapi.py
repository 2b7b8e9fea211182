"""What FastAPI cannot know of our routes: problems, headers and the webhook ingress."""

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from shared_events.envelope import Contract
from shared_events.requests import FieldError, Page
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute

from crm_gateway.access.jwks import PATH as JWKS
from crm_gateway.problems.errors import HttpError
from crm_gateway.rest import selection, upload
from crm_gateway.rest.table import AUTHENTICATED, PREFIX, PUBLIC, Row

Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"


class ProblemDocument(Contract):
    """Why a request was refused (RFC 9457). `code` is stable, `type` leads to what it means;
    `title`, `detail` and `message` are for people, in the language of Content-Language.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldError]


def operation(row: Row) -> dict[str, Any]:
    """How a row is described: the arguments of `add_api_route` beside path, method, endpoint."""
    summary, _, more = (row.request.__doc__ or "").strip().partition("\n")
    has_no_model = row.status == 204 or row.gives_file or row.live
    shapes: dict[str, Any] = {}
    if row.pieces is not None and row.file is None:
        shapes["openapi_extra"] = upload.described(row)
    if row.is_selectable:
        shapes["openapi_extra"] = {"parameters": selection.described(row)}
    return {
        **shapes,
        "operation_id": _operation_id(row),
        "tags": [row.path.split("/")[1]],
        "summary": summary,
        "description": f"{more.strip()}\n\n{_who(row)}{_until(row)}".strip(),
        "deprecated": row.deprecation is not None,
        "status_code": row.status,
        "response_model": None if has_no_model else row.request.reply_model(),
        "responses": _warned(row, {row.status: _success(row), **_refusals(row)}),
        **_FILES.get(row.file, {}),
    }


def document(routes: Sequence[BaseRoute], rows: Sequence[Row]) -> Schema:
    """The OpenAPI 3.1 document of these rows' routes and of the ingress before them."""
    found = get_openapi(
        title="Ventros CRM",
        version="1",
        description="WhatsApp CRM: contacts, conversations, messages, webhooks.",
        routes=routes,
    )
    found["paths"][f"{PREFIX}/webhooks/waha/{{channel_token}}"] = {"post": _INGRESS}
    found["paths"][JWKS] = {"get": _JWKS}
    components = found["components"]
    components["securitySchemes"]["api_key"] = _API_KEY
    components["headers"] = _HEADERS
    components["responses"] = {f"Problem{status}": _problem(status) for status in _REFUSALS}
    for row in rows:
        described = found["paths"][PREFIX + row.path][row.method.lower()]
        if row.deprecation is not None:
            described[SUNSET] = row.deprecation.sunset.isoformat()
        if links := _links(row, rows):
            described["responses"][str(row.status)]["links"] = links
        if row.expands:
            selection.describe_expanded(row, components["schemas"])
    for path in found["paths"].values():
        for described in path.values():
            if _FORM in (body := described.get("requestBody", {}).get("content", {})):
                described["requestBody"]["content"] = {_FORM: body[_FORM]}
            if described.get("security"):
                described["security"].append({"api_key": []})
    for model in (FieldError, ProblemDocument):
        components["schemas"][model.__name__] = _schema(model)
    return found


def _schema(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema(mode="serialization", ref_template=_REF)
    schema.pop("$defs", None)
    return schema


def _who(row: Row) -> str:
    if row.permission == PUBLIC:
        return "For everybody."
    if row.permission == AUTHENTICATED:
        return "For everybody who is logged in."
    return f"Permission: `{row.permission}`."


def _until(row: Row) -> str:
    if row.deprecation is None:
        return ""
    since, sunset, page = row.deprecation.since, row.deprecation.sunset, row.deprecation.page
    return f"\n\nDeprecated since {since}; may be gone from {sunset} on. See {page}."


def _operation_id(row: Row) -> str:
    return "_".join([row.request.key.replace(".", "_"), *row.fixed.values()])


def _links(row: Row, rows: Sequence[Row]) -> Schema:
    """What can be asked about what this makes, or about the first one it lists, by operation id."""
    if row.status == 201:
        place, found = row.location or row.path + "/{id}", "$response.body#/id"
    elif issubclass(row.request.reply_model(), Page):
        place, found = row.path + "/{id}", "$response.body#/data/0/id"
    else:
        return {}
    below, has_id, _ = place.partition("{id}")
    known = {name: f"$request.path.{name}" for name in row.parameters if name in below}
    links = {}
    for other in rows if has_id else ():
        if other.path.startswith(below + "{"):
            named = other.parameters[below.count("{")]
            links[_operation_id(other)] = {
                "operationId": _operation_id(other),
                "parameters": {**known, named: found},
            }
    return links


def _warned(row: Row, answers: dict[int | str, Schema]) -> dict[int | str, Schema]:
    """The answers of a row; those of a deprecated one say so, refusals as well."""
    if row.deprecation is None:
        return answers
    said = _with(*row.deprecation.headers)
    for status, answer in answers.items():
        whole = _problem(int(status)) if "$ref" in answer else answer
        answers[status] = {**whole, "headers": {**whole.get("headers", {}), **said}}
    return answers


def _success(row: Row) -> Schema:
    headers = ["X-Request-Id"]
    if row.status != 204 and "version" in row.request.reply_model().model_fields:
        headers.append("ETag")
    if row.status == 201:
        headers.append("Location")
    if row.permission != PUBLIC:
        headers += _QUOTA
    if row.takes_key:
        headers.append("Idempotent-Replayed")
    if row.goes_on_at is not None:
        headers.append("Link")
    if row.gives_file or row.file in ("out", "archive"):
        headers.append("Content-Disposition")
    if row.live:
        headers.append("X-Accel-Buffering")
    if row.file == "out":
        headers += ["Accept-Ranges", "ETag"]
    told = {"description": "Done.", "headers": _with(*headers)}
    if row.live:
        return {**told, "description": "Events, one after the other.", **_STREAM}
    if row.file == "archive":
        return {**told, "description": "The archive.", "content": _ZIP}
    if row.gives_file:
        file = {"schema": {"type": "string"}}
        content = {"text/csv": file, "application/jsonl": file}
        return {**told, "description": "The file.", "content": content}
    return told


_REFUSALS = (400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 416, 422, 429, 500, 503, 504)


def _refusals(row: Row) -> dict[int | str, Schema]:
    statuses = {400, 422, 500, 503, 504}
    if row.method != "GET":
        statuses |= {408, 413, 415}
    if row.method != "GET" or row.from_path:
        statuses |= {
            409
        }  # not as it is now: a contact that is another by now, a code nobody waits for
    statuses |= {401, 429} if row.permission == PUBLIC else {401, 403, 429}
    if row.file in ("out", "archive"):
        statuses |= {403}  # a link that is not ours, or too old
    named = row.from_path if row.by_query else row.request.model_fields
    if any(name.endswith("_id") for name in named) or row.from_path:
        statuses |= {404}
    if "contact_id" in named:
        statuses |= {410}  # everything about it was erased
    if row.takes_version:
        statuses |= {412}
    if row.file == "out":
        statuses |= {416}
    found: dict[int | str, Schema] = {status: _refused(status) for status in sorted(statuses)}
    if row.method == "GET" and "version" in row.request.reply_model().model_fields:
        told = _with("X-Request-Id", "ETag", *_QUOTA)
        found[304] = {"description": "If-None-Match names what it shows.", "headers": told}
    if row.file == "out":
        told = _with(
            "X-Request-Id", "Content-Disposition", "Content-Range", "Accept-Ranges", "ETag"
        )
        found[206] = {"description": "The part that Range asks for.", "headers": told}
    return found


def _refused(status: int) -> Schema:
    return {"$ref": f"#/components/responses/Problem{status}"}


def _problem(status: int) -> Schema:
    return {
        "description": HttpError(status, "", "").title,
        "headers": _with(*_ON_REFUSALS, *_OF_REFUSALS.get(status, ())),
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model=_PROBLEM)}}},
    }


_PROBLEM = ProblemDocument.__name__


def _with(*headers: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _said(description: str, kind: str = "string") -> Schema:
    return {"description": description, "schema": {"type": kind}}


_QUOTA = ("RateLimit-Policy", "RateLimit")
_ON_REFUSALS = ("X-Request-Id", "Content-Language", "Idempotent-Replayed", *_QUOTA)
_OF_REFUSALS = {
    401: ("WWW-Authenticate",),
    409: ("Location",),
    415: ("Accept",),
    416: ("Content-Range",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    504: ("Retry-After",),
}
SUNSET = "x-sunset"
"""Of an operation: the day from which on it may be gone."""
EVERYWHERE = "x-on-every-answer"
"""Of a header: whether any answer may have it, so that none names it."""
_HEADERS: Schema = {
    "Accept": _said("The media type that is taken."),
    "Accept-Ranges": _said("`bytes`: Range may ask for a part."),
    "Content-Disposition": _said("The file's name."),
    "Content-Language": _said("`en` or `pt-BR`, as Accept-Language asks."),
    "Content-Range": _said("Which part of how many bytes it is."),
    "Deprecation": _said("Since when the route is deprecated (RFC 9745)."),
    "ETag": _said("The version, for If-Match, and what is shown, for If-None-Match."),
    "Idempotent-Replayed": _said("`true`: the stored answer of an equal request."),
    "Link": _said('`rel="next"`: the next page, while there is one (RFC 8288).'),
    "Location": _said("Where the new one is found, or the one it was merged into."),
    "RateLimit": _said("What is left of each limit, and for how many seconds."),
    "RateLimit-Policy": _said("The limits that apply (draft-ietf-httpapi-ratelimit-headers)."),
    "Retry-After": _said("Seconds to wait.", kind="integer"),
    "Sunset": _said("From when on the route may be gone (RFC 8594)."),
    "WWW-Authenticate": _said("`Bearer`."),
    "X-Accel-Buffering": _said("`no`: proxies shall pass each event on at once."),
    "X-Request-Id": _said("The request's id, in events and webhooks as well."),
    **{
        name: {**_said(description), EVERYWHERE: True}
        for name, description in {
            "Access-Control-Allow-Origin": "The page's origin, if it may ask.",
            "Access-Control-Expose-Headers": "What a page of another origin may read.",
            "Cache-Control": "`no-store`.",
            "Content-Security-Policy": "A browser runs nothing of it.",
            "Referrer-Policy": "`no-referrer`.",
            "Strict-Transport-Security": "Browsers come back by HTTPS only.",
            "Vary": "`Origin`, where pages of other origins may ask.",
            "X-Content-Type-Options": "`nosniff`.",
            "X-Frame-Options": "`DENY`.",
        }.items()
    },
}
_STREAM: Schema = {
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'id: 1068\ndata: {"id": "...", "type": "message.received", ...}\n\n',
        }
    }
}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", **_said(description)}


_ZIP: Schema = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
_FORM = "multipart/form-data"
_A_FILE = {"type": "string", "format": "binary"}
_FILES: dict[str | None, Schema] = {
    "in": {
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {
                    _FORM: {
                        "schema": {
                            "type": "object",
                            "required": ["file"],
                            "properties": {"file": _A_FILE},
                        },
                        "example": {"file": "vitrine.jpg"},
                    }
                },
            }
        }
    },
    "out": {"response_model": None, "response_class": StreamingResponse},
    "archive": {"response_class": StreamingResponse},
}
_API_KEY: Schema = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Api-Key",
    "description": "In the place of the bearer token; its scopes are permissions.",
}
_JWKS: Schema = {
    "operationId": "jwks",
    "tags": ["auth"],
    "summary": "By which keys others may judge access tokens.",
    "description": "A JWK Set (RFC 7517); without keys where tokens are judged here alone.",
    "security": [],
    "responses": {
        "200": {
            "description": "The keys.",
            "headers": _with("X-Request-Id"),
            "content": {
                "application/jwk-set+json": {
                    "schema": {
                        "type": "object",
                        "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
                        "required": ["keys"],
                    }
                }
            },
        }
    },
}
_INGRESS: Schema = {
    "operationId": "ingress_waha",
    "tags": ["ingress"],
    "summary": "WAHA's webhook.",
    "description": "Accepted once durable. Signed with the channel's key (HMAC-SHA512, hex).",
    "security": [],
    "parameters": [
        {"name": "channel_token", "in": "path", "required": True, "schema": {"type": "string"}},
        _header("X-Webhook-Hmac", "Lower-case hex HMAC-SHA512 over the raw body."),
        _header("X-Webhook-Hmac-Algorithm", "`sha512` when given."),
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "responses": {
        "200": {
            "description": "Accepted.",
            "headers": _with("X-Request-Id"),
            "content": {
                "application/json": {
                    "schema": {"type": "object", "properties": {"status": {"const": "accepted"}}}
                }
            },
        },
        **{str(status): _refused(status) for status in (400, 401, 408, 413, 503)},
    },
}
