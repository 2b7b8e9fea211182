"""From HTTP to a request of the bus: path, query and body, each refused in its own way."""

import re
from typing import Any

import orjson
from pydantic import ValidationError
from service_kit.errors import (
    InvalidError,
    MalformedError,
    NotFoundError,
    PreconditionFailedError,
    field_errors,
)
from service_kit.text import without_nul
from shared_events.requests import Request as BusRequest
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request

from crm_gateway.body import read_body
from crm_gateway.problems.errors import unsupported_media_type
from crm_gateway.rest.table import Row

_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
MAX_NESTING = 64
"""Levels of a body; what answers and events wrap around it stays within what JSON readers take."""


async def parse(row: Row, http: Request) -> BusRequest[Any]:
    """The request this call stands for.

    Raises MalformedError (400), HttpError 413 and 415, InvalidError (422) naming every wrong
    field, and NotFoundError for a path that cannot name anything.
    """
    fields: dict[str, Any] = {}
    if row.method == "GET":
        fields = read_query(row, http.query_params)
    else:
        if http.query_params:
            raise _unknown_parameter(next(iter(http.query_params)))
        fields = await _read_json(http)
    unexpected = row.from_path & fields.keys()
    if unexpected:
        name = min(unexpected)
        raise InvalidError.field(name, "extra_forbidden", "This field belongs to the path.")
    fields |= {**http.path_params, **row.fixed}
    try:
        return row.request.model_validate(fields)
    except ValidationError as error:
        errors = field_errors(error)
        if any(found.pointer == "/cursor" for found in errors):
            raise _invalid_cursor() from None
        for name in row.parameters:
            if any(found.pointer == f"/{name}" for found in errors):
                raise NotFoundError(name.removesuffix("_id")) from None
        raise InvalidError(
            "validation_failed", "The request has invalid fields.", errors=errors
        ) from None


def read_query(row: Row, query: QueryParams) -> dict[str, Any]:
    """Query parameters by field; lists may repeat. A name nobody knows is refused: a typo in a
    filter must not return everything."""
    fields: dict[str, Any] = {}
    known = {
        field.alias or name: field
        for name, field in row.request.model_fields.items()
        if name not in row.from_path
    }
    for name, text in query.multi_items():
        value = without_nul(text)
        if name not in known:
            raise _unknown_parameter(name)
        if name == "cursor" and not value.strip():
            raise _invalid_cursor()  # a lost cursor must not begin the walk again
        if _is_list(known[name].annotation):
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise MalformedError("repeated_parameter", f"{name} may be given once.")
        else:
            fields[name] = value
    return fields


def _is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is list


def _unknown_parameter(name: str) -> MalformedError:
    return MalformedError("unknown_parameter", f"There is no query parameter {name[:100]!r} here.")


def _invalid_cursor() -> MalformedError:
    return MalformedError("invalid_cursor", "The cursor is not one we gave.")


async def _read_json(http: Request) -> dict[str, Any]:
    body = await read_body(http)
    if not body:
        return {}
    media_type = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise unsupported_media_type()
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedError("invalid_json", "The body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise InvalidError("validation_failed", "The body must be a JSON object.")
    if body.count(b"{") + body.count(b"[") > MAX_NESTING and _is_deep(parsed):
        raise MalformedError("nested_too_deep", f"The body nests deeper than {MAX_NESTING} levels.")
    without: dict[str, Any] = without_nul(parsed) if b"\\u0000" in body else parsed
    return without


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_NESTING):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def idempotency_key(headers: Headers) -> str | None:
    """The Idempotency-Key; raises MalformedError when it is empty, too long or unprintable."""
    key = headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise MalformedError(
            "invalid_idempotency_key", "Idempotency-Key takes 1 to 255 printable characters."
        )
    return key


def expected_version(headers: Headers) -> int | None:
    """The version If-Match demands; an entity tag that is no version matches nothing."""
    value = headers.get("if-match", "").strip()
    if value in ("", "*"):
        return None
    match = _ETAG.fullmatch(value)
    if match is None:
        raise PreconditionFailedError("stale_version", "If-Match fits no version of this.")
    return int(match[1])


def unchanged(headers: Headers, etag: str) -> bool:
    """Whether If-None-Match says that the caller has this version already."""
    known = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return etag in known or known == ["*"]
