"""What FastAPI would let pass and we refuse, before it looks: query strings and JSON bodies."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from service_kit.errors import InvalidError, MalformedError
from starlette.datastructures import QueryParams
from starlette.requests import Request

from crm_gateway.problems.errors import unsupported_media_type

MAX_NESTING = 64
"""Levels of a body; what answers and events wrap around it stays within what JSON readers take."""


class JsonRequest(Request):
    """A request whose body has been read and judged: FastAPI finds it parsed.

    Its media type has been judged as well, and is of no interest where there is no body.
    """

    def __init__(self, http: Request, parsed: Mapping[str, Any]) -> None:
        headers = [each for each in http.scope["headers"] if each[0] != b"content-type"]
        super().__init__({**http.scope, "headers": headers}, http.receive)
        self._parsed = parsed

    async def body(self) -> bytes:
        """Something: the body itself has been read."""
        return b"{}"

    async def json(self) -> Mapping[str, Any]:
        """The body as an object."""
        return self._parsed


def check_query(query: QueryParams, known: Mapping[str, bool]) -> None:
    """Refuse a name nobody knows (a typo in a filter must not return everything), and a second
    value for what takes one. `known` says of each name whether it takes a list.

    Raises MalformedError, and InvalidError for characters no column holds.
    """
    seen = set()
    for name, value in query.multi_items():
        if name not in known:
            raise MalformedError(
                "unknown_parameter",
                f"There is no query parameter {name[:100]!r} here.",
                parameter=name[:100],
            )
        if name in seen and not known[name]:
            raise MalformedError("repeated_parameter", f"{name} may be given once.", parameter=name)
        seen.add(name)
        if name == "cursor" and not value.replace("\0", "").strip():
            raise invalid_cursor()  # a lost cursor must not begin the walk again
        if "\0" in value:
            raise _nul(name)


def invalid_cursor() -> MalformedError:
    """The cursor is not one of ours."""
    return MalformedError("invalid_cursor", "The cursor is not one we gave.")


def read_json(http: Request, body: bytes) -> dict[str, Any]:
    """The body as an object; none at all is an empty one.

    Raises HttpError 415, MalformedError for what is no JSON, nests too deep or says a name twice,
    and InvalidError for what is no object or holds a NUL character.
    """
    if not body:
        return {}
    media_type = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise unsupported_media_type()
    if http.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        # A proxy may unpack what we would not: both must read the same (RFC 9110, 15.5.16).
        raise unsupported_media_type("application/json without a Content-Encoding")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedError("invalid_json", "The body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise InvalidError("validation_failed", "The body must be a JSON object.")
    if body.count(b"{") + body.count(b"[") > MAX_NESTING and _is_deep(parsed):
        raise MalformedError(
            "nested_too_deep",
            f"The body nests deeper than {MAX_NESTING} levels.",
            limit=MAX_NESTING,
        )
    json.loads(body, object_pairs_hook=_once, parse_int=_any_number, parse_float=_any_number)
    if b"\\u0000" in body and (place := _place_of_nul(parsed)) is not None:
        raise _nul(*place)
    return parsed


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that has a name twice: each reader might take another (RFC 8259, 4)."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise MalformedError("repeated_name", "An object of the body has a name twice.")


def _any_number(_: str) -> int:
    return 0


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


def _nul(*place: object) -> InvalidError:
    return InvalidError.field(place, "nul_character", "A text cannot hold the NUL character.")


def _place_of_nul(value: Any, *place: object) -> tuple[object, ...] | None:
    """The names and indexes that lead to the first NUL; None without one."""
    if isinstance(value, str):
        return place if "\0" in value else None
    if not isinstance(value, dict | list):
        return None
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if "\0" in str(key):
            return place
        found = _place_of_nul(item, *place, key)
        if found is not None:
            return found
    return None
