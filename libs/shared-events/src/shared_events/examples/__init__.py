"""Golden examples, one file per noun: a full envelope per event version, a body per request.

They are data of the package: contract tests feed them to every consumer, and `GET /event-types`
shows them to customers. A test proves that each parses and fits its committed schema.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, cast

_FOLDER = files(__name__)


@cache
def _examples() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"events": {}, "requests": {}}
    for file in sorted(_FOLDER.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            for kind, examples in json.loads(file.read_bytes()).items():
                found[kind] |= examples
    return found


def load(event_type: str, event_version: str = "1") -> dict[str, Any]:
    """The example envelope; LookupError when there is none."""
    return _find("events", f"{event_type}.v{event_version}")


def body(event_type: str, event_version: str = "1") -> bytes:
    """The example envelope as bytes that may travel; LookupError when there is none."""
    return json.dumps(load(event_type, event_version), ensure_ascii=False).encode()


def load_request(key: str) -> dict[str, Any]:
    """The example body of a request, e.g. `contacts.contact.create`; LookupError without one."""
    return _find("requests", key)


def _find(kind: str, name: str) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], _examples()[kind][name])
    except KeyError:
        raise LookupError(f"there is no example of {name}") from None
