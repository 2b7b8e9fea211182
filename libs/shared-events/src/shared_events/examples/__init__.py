"""Golden examples: a full envelope per event type and version, a body per request key.

They are data of the package: contract tests feed them to every consumer, and `GET /event-types`
shows them to customers. A test proves that each parses and fits its committed JSON Schema.
"""

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, cast

_FOLDER = files(__name__)


def body(event_type: str, event_version: str = "1") -> bytes:
    """The example envelope as the bytes that travel; LookupError when there is none."""
    return _read(_FOLDER / f"{event_type}.v{event_version}.json")


def load(event_type: str, event_version: str = "1") -> dict[str, Any]:
    """The example envelope, decoded; LookupError when there is none."""
    return cast(dict[str, Any], json.loads(body(event_type, event_version)))


def load_request(key: str) -> dict[str, Any]:
    """The example body of a request, e.g. `contacts.contact.create`; LookupError without one."""
    return cast(dict[str, Any], json.loads(_read(_FOLDER / "requests" / f"{key}.json")))


def _read(file: Traversable) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise LookupError(f"there is no example {file.name}") from None
