"""Reading JSON whose shape nobody promises: what does not fit reads as absent."""

import json
from collections.abc import Mapping
from typing import Any

import orjson

Json = Mapping[str, Any]

_EMPTY: Json = {}


class UnreadableError(ValueError):
    """The body is not a JSON object."""


def read_object(body: bytes) -> Json:
    """The JSON object in a body, without what PostgreSQL or UTF-8 cannot hold.

    NUL characters are dropped and halves of surrogate pairs (a text cut inside an emoji) become
    question marks. Raises UnreadableError.
    """
    clean = b"\\u0000" not in body
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        clean = False  # orjson refuses lone surrogates, which JavaScript writes
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(type(error).__name__) from None
    if not isinstance(value, dict):
        raise UnreadableError("not an object")
    return value if clean else {str(k): _cleaned(v) for k, v in value.items()}


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {k: _cleaned(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value


def mapping(value: object, *path: str) -> Json:
    """The object at a path of keys, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else _EMPTY


def text(value: object) -> str | None:
    """A non-empty text, or None."""
    return value if isinstance(value, str) and value else None


def number(value: object) -> float | None:
    """A number, also when written as text; None for anything else (NaN and booleans too)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if abs(found) < 1e18 else None


def items(value: object) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []
