"""Rules of what customers put into a contact: tags and custom fields."""

from collections.abc import Iterable
from typing import Any

import orjson
from service_kit.errors import InvalidError

from crm_contacts.contacts.search import tag_key

MAX_KEYS = 64
MAX_BYTES = 16 * 1024


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396): null removes, objects merge, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def distinct_tags(tags: Iterable[str]) -> list[str]:
    """Each tag once, compared without case; the first spelling and the order stay."""
    kept: dict[str, str] = {}
    for tag in filter(None, tags):
        kept.setdefault(tag_key(tag), tag)
    return list(kept.values())


def check_custom_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields themselves; InvalidError when there are too many or they are too large."""
    return check_document(fields, "custom_fields")


def check_document(document: dict[str, Any], field: str) -> dict[str, Any]:
    """What a customer put into this field; InvalidError when it has too many keys or bytes."""
    try:
        size = len(orjson.dumps(document))
    except TypeError:
        raise InvalidError.field(
            field, "invalid_value", "A number is too large or the nesting too deep."
        ) from None
    if len(document) > MAX_KEYS:
        raise InvalidError.field(
            field, "too_long", f"At most {MAX_KEYS} fields.", max_length=MAX_KEYS
        )
    if size > MAX_BYTES:
        raise InvalidError.field(
            field, "too_large", f"At most {MAX_BYTES} bytes together.", limit=MAX_BYTES
        )
    return document
