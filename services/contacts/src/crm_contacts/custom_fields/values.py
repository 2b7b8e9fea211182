"""Whether what a contact says fits the definitions of its company. Nothing here does I/O."""

import math
from collections.abc import Callable, Collection, Iterable
from datetime import date
from typing import Any

from pydantic import HttpUrl, TypeAdapter
from service_kit.errors import InvalidError
from shared_events.contacts.contact import Email
from shared_events.requests import FieldError

from crm_contacts.custom_fields.models import CustomField

ReadPhone = Callable[[str], object]
"""Reads a phone as people type it; raises InvalidError for what is none."""

_read_email = TypeAdapter[str](Email).validate_python
_read_url = TypeAdapter[HttpUrl](HttpUrl).validate_python


def check(
    values: dict[str, Any],
    definitions: Iterable[CustomField],
    read_phone: ReadPhone,
    *,
    only: Collection[str] | None = None,
) -> None:
    """Refuse values that their definitions do not allow, and required ones that are missing.

    `only`: the keys to look at, where the others were not touched. Null is as good as missing, and
    a key without a definition may hold anything. Raises one InvalidError that names each wrong
    value by its JSON pointer.
    """
    errors = [
        FieldError(pointer=f"/custom_fields/{definition.key}", code=problem[0], message=problem[1])
        for definition in definitions
        if only is None or definition.key in only
        if (problem := _problem(values.get(definition.key), definition, read_phone))
    ]
    if errors:
        raise InvalidError(
            "validation_failed", "Custom fields do not fit their definitions.", errors=errors
        )


def _problem(value: Any, definition: CustomField, read_phone: ReadPhone) -> tuple[str, str] | None:
    """Code and message of what is wrong with a value; None when nothing is."""
    if value is None or (definition.required and value in ("", [])):
        return ("required", "This field is required.") if definition.required else None
    if definition.type in ("select", "multi_select"):
        return None if _is_selected(value, definition) else ("unknown_option", "No such option.")
    if _fits(value, definition.type, read_phone):
        return None
    return f"invalid_{definition.type}", f"This is not a {definition.type}."


def _is_selected(value: Any, definition: CustomField) -> bool:
    if definition.type == "select":
        return value in definition.options
    return (
        isinstance(value, list)
        and all(one in definition.options for one in value)
        and len(set(value)) == len(value)
    )


def _fits(value: Any, kind: str, read_phone: ReadPhone) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and math.isfinite(value)
        case _ if not isinstance(value, str):
            return False
        case "date":
            # Python also reads 20260131 and 2026-W05-6, which do not sort as dates do.
            return _reads(lambda text: date.fromisoformat(text).isoformat(), value, value)
        case "url":
            return _reads(_read_url, value)
        case "email":
            return _reads(_read_email, value)
        case "phone":
            return _reads(read_phone, value)
        case _:
            return True


def _reads(read: Callable[[str], object], text: str, expected: object = None) -> bool:
    try:
        found = read(text)
    except (ValueError, InvalidError):  # pydantic's error is a ValueError too
        return False
    return expected in (None, found)
