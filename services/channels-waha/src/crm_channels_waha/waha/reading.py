"""Reading JSON whose shape nobody promises: what does not fit reads as absent."""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

import orjson

Json = Mapping[str, Any]

_EMPTY: Json = {}
_LARGEST = 1e19  # what is larger is no time, not even in nanoseconds, and nobody's price
_THUMBNAIL = re.compile(r"(?:/9j/|iVBORw0KGgo|UklGR)[A-Za-z0-9+/\s]{60,}={0,2}\s*")
"""A JPEG, PNG or WebP in base64."""
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


class UnreadableError(ValueError):
    """The body is not the JSON it should be."""


def read_json(body: bytes) -> object:
    """The JSON value in a body, without what PostgreSQL or UTF-8 cannot hold.

    NUL characters are dropped; halves of surrogate pairs (a text cut inside an emoji) and bytes
    that are no text become replacement characters. Raises UnreadableError.
    """
    try:
        value = orjson.loads(body)
        return _cleaned(value) if b"\\u0000" in body else value
    except orjson.JSONDecodeError:
        pass  # orjson refuses lone surrogates, which JavaScript writes
    except RecursionError as error:
        raise UnreadableError(type(error).__name__) from None
    try:
        return _cleaned(json.loads(body.decode("utf-8-sig", "replace"), parse_int=_number))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(type(error).__name__) from None


def _number(digits: str) -> float:
    return int(digits) if len(digits) < 19 else float(digits)


def read_object(body: bytes) -> Json:
    """As `read_json`, where anything but an object is unreadable."""
    value = read_json(body)
    if not isinstance(value, dict):
        raise UnreadableError("not an object")
    return value


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value.replace("\0", ""))
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value


def mapping(value: object, *path: str) -> Json:
    """The object at a path of keys, or an empty one.

    Objects of JSON are dicts; to ask for a Mapping instead costs a fifth of all translating.
    """
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else _EMPTY


def text(value: object) -> str | None:
    """A non-empty text, or None."""
    return value if isinstance(value, str) and value else None


def written(value: object) -> str | None:
    """As `text`, without the thumbnail that browsers' engines have for the body of some kinds."""
    found = text(value)
    return None if found and _THUMBNAIL.fullmatch(found) else found


def number(value: object) -> float | None:
    """A number, also when written as text; None for anything else (NaN and booleans too).

    JavaScript has no integers of 64 bits: engines write those as `{"low": ..., "high": ...}`.
    """
    if isinstance(value, dict):
        low, high = value.get("low"), value.get("high")
        value = (high << 32) + low % 2**32 if _whole(low) and _whole(high) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < _LARGEST else None


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and abs(value) < 2**32


def items(value: object) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []
