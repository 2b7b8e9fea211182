"""The engine's own view of a message: unwrapped, and named by what is in it.

NOWEB and GOWS hand WhatsApp's message on (`_data.message`, `_data.Message`): an object with one key
for its kind, in wrappers such as `ephemeralMessage`, with other keys beside it. GOWS writes names
as Go does (`ID`, `URL`, `JID`), so names are compared without case. WEBJS and WPP say it in
`_data.type`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from crm_channels_waha.waha.reading import Json, mapping, text

BESIDE = frozenset(
    (
        "messageContextInfo",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
    )
)
"""Travels with a message of another kind, or alone, and is never one."""
STUB = "messageStubType"
"""A notice of WhatsApp's own on NOWEB, such as who joined a group: its number or name."""
_DEEPEST = 8
_VIEW_ONCE = frozenset(("isviewonce", "isviewoncev2", "isviewoncev2extension", "viewonce"))


@dataclass(frozen=True, slots=True)
class Raw:
    """The name of a message's kind, and that kind's fields. Both are empty where nothing is known.

    `view_once`: it may be looked at once, and is not shown to linked devices.
    """

    kind: str
    fields: Json
    view_once: bool = False


def read_raw(payload: Json) -> Raw:
    """What the engine says of the message in a payload."""
    raw = mapping(payload.get("_data"))
    view_once = _says_view_once(raw) or _says_view_once(mapping(raw.get("key")))
    if isinstance(raw.get("type"), str):
        return Raw(raw["type"], raw, view_once)
    message = mapping(raw.get("message")) or mapping(raw.get("Message"))
    if not message and raw.get(STUB) not in (None, 0, "UNKNOWN"):
        return Raw(STUB, {}, view_once)
    found = unwrapped(message)
    return replace(found, view_once=view_once or found.view_once)


def unwrapped(message: Json) -> Raw:
    """What is in a message of WhatsApp's own, inside its wrappers."""
    view_once = False
    for _ in range(_DEEPEST):
        kind = _kind(message)
        inner = mapping(message, kind, "message")
        if not inner:
            break
        view_once = view_once or kind.startswith("viewOnce")
        message = inner
    else:
        return Raw("", {}, view_once)
    said = message.get(kind)
    fields = said if isinstance(said, dict) else {"text": said}
    return Raw(kind, fields, view_once or _says_view_once(fields))


def _kind(message: Json) -> str:
    """The key of what was written: what only travels beside it counts where it is alone."""
    there = [key for key, value in message.items() if value not in (None, "")]
    return next((key for key in there if key not in BESIDE), next(iter(there), ""))


def _says_view_once(where: Json) -> bool:
    marked = any(said is True and name.lower() in _VIEW_ONCE for name, said in where.items())
    return marked or where.get("UnavailableType") == "view_once"


def within(value: object, name: str, depth: int = 5) -> object:
    """What an object holds under a name, in itself or in the objects it is made of.

    Generated code puts alternatives one level deeper (`Format`, `HydratedButton`), and engines
    differ in how deep and in the case of names.
    """
    return next(_under(value, name.casefold(), depth), None)


def _under(value: object, name: str, depth: int) -> Iterator[object]:
    if not isinstance(value, dict) or depth == 0:
        return
    for key, held in value.items():
        if isinstance(key, str) and key.casefold() == name and held is not None:
            yield held
    for held in value.values():
        yield from _under(held, name, depth - 1)


def text_within(value: object, *names: str) -> str | None:
    """The first text found under one of the names; blanks alone are none."""
    for name in names:
        if (found := text(within(value, name))) and found.strip():
            return found
    return None


def known(**values: Any) -> dict[str, Any]:
    """What is known of these."""
    return {name: value for name, value in values.items() if value is not None and value != []}
