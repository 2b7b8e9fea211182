"""The OpenAPI 3.1 document, made from the route table and the request classes themselves."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from shared_events.envelope import Contract
from shared_events.requests import FieldError

from crm_gateway.problems.errors import HttpError
from crm_gateway.rest.table import AUTHENTICATED, PREFIX, PUBLIC, Row

Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"


class ProblemDocument(Contract):
    """Why a request was refused (RFC 9457). `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldError]


def document(rows: Sequence[Row]) -> Schema:
    """The whole document."""
    taken: list[tuple[type[BaseModel], Any]] = [(row.request, "validation") for row in rows]
    given: list[tuple[type[BaseModel], Any]] = [
        (row.request.reply_model(), "serialization") for row in rows
    ]
    named, definitions = models_json_schema(
        list(dict.fromkeys([*taken, *given, (ProblemDocument, "serialization")])),
        ref_template=_REF,
    )
    schemas: dict[str, Schema] = definitions.get("$defs", {})
    refs = {key: ref["$ref"].rpartition("/")[2] for key, ref in named.items()}
    paths: dict[str, Schema] = {}
    bodies: dict[str, Schema] = {}
    for row in rows:
        source = schemas[refs[row.request, "validation"]]
        reply = refs[row.request.reply_model(), "serialization"]
        operation = _operation(row, source, reply)
        if row.method != "GET" and (properties := _properties(row, source)):
            name = f"{row.request.__name__}Body"
            bodies[name] = _body_schema(row, source, properties)
            operation["requestBody"] = {
                "required": bool(bodies[name].get("required")),
                "content": {"application/json": {"schema": {"$ref": _REF.format(model=name)}}},
            }
        paths.setdefault(PREFIX + row.path, {})[row.method.lower()] = operation
    paths[f"{PREFIX}/webhooks/waha/{{channel_token}}"] = {"post": _INGRESS}
    # What comes by path or query is written out as parameters; only bodies stay as schemas.
    for row in rows:
        schemas.pop(refs[row.request, "validation"], None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ventros CRM",
            "version": "1",
            "description": "WhatsApp CRM: contacts, conversations, messages, webhooks.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted((schemas | bodies).items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _properties(row: Row, source: Schema) -> Schema:
    found: Schema = source.get("properties", {})
    return {name: schema for name, schema in found.items() if name not in row.from_path}


def _body_schema(row: Row, source: Schema, properties: Schema) -> Schema:
    required = [name for name in source.get("required", []) if name not in row.from_path]
    return {
        "type": "object",
        "title": f"{row.request.__name__}Body",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _operation(row: Row, source: Schema, reply: str) -> Schema:
    summary, _, more = (row.request.__doc__ or "").strip().partition("\n")
    operation: Schema = {
        "operationId": row.request.key.replace(".", "_")
        + "".join(f"_{value}" for value in row.fixed.values()),
        "tags": [row.path.split("/")[1]],
        "summary": summary,
        "description": f"{more.strip()}\n\n{_who(row)}".strip(),
        "security": [] if row.permission == PUBLIC else [{"bearer": []}],
        "parameters": _parameters(row, source),
        "responses": _responses(row, reply),
    }
    return operation


def _who(row: Row) -> str:
    if row.permission == PUBLIC:
        return "For everybody."
    if row.permission == AUTHENTICATED:
        return "For everybody who is logged in."
    return f"Permission: `{row.permission}`."


def _parameters(row: Row, source: Schema) -> list[Schema]:
    properties: Schema = source.get("properties", {})
    found = [
        {"name": name, "in": "path", "required": True, "schema": properties[name]}
        for name in row.parameters
    ]
    if row.method == "GET":
        required = source.get("required", [])
        return found + [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in _properties(row, source).items()
        ]
    if row.permission != PUBLIC:
        if row.method == "POST":
            found.append(_header("Idempotency-Key", "The same key again gives the same answer."))
        if row.parameters or row.fixed:
            found.append(_header("If-Match", "Refuse unless this is still the version."))
    return found


def _header(name: str, description: str) -> Schema:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _responses(row: Row, reply: str) -> Schema:
    statuses = {400, 500}
    if row.method != "GET":
        statuses |= {408, 409, 413, 415}
    statuses |= {401, 429} if row.permission == PUBLIC else {401, 403}
    if row.parameters or row.fixed:
        statuses |= {404}
        if row.method != "GET":
            statuses |= {412}
    statuses |= {422, 503, 504}
    success: Schema = {"description": "Done."}
    if row.status != 204:
        success["content"] = _json("application/json", reply)
    return {
        str(row.status): success,
        **{str(status): _problem(status) for status in sorted(statuses)},
    }


def _problem(status: int) -> Schema:
    return {
        "description": HttpError(status, "", "").title,
        "content": _json("application/problem+json", "ProblemDocument"),
    }


def _json(media_type: str, model: str) -> Schema:
    return {media_type: {"schema": {"$ref": _REF.format(model=model)}}}


_INGRESS: Schema = {
    "operationId": "ingress_waha",
    "tags": ["ingress"],
    "summary": "WAHA's webhook.",
    "description": "Accepted once durable. Signed with the channel's key (HMAC-SHA512, hex).",
    "security": [],
    "parameters": [
        {
            "name": "channel_token",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        },
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
            "content": {
                "application/json": {
                    "schema": {"type": "object", "properties": {"status": {"const": "accepted"}}}
                }
            },
        },
        **{str(status): _problem(status) for status in (400, 401, 408, 413, 503)},
    },
}
