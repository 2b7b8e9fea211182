"""Contacts as lines of a file: CSV for spreadsheets, JSON lines for programs."""

from collections.abc import Sequence

import orjson
from shared_events.contacts.contact import Contact

from crm_contacts.jobs import csv_text

_COLUMNS = (
    *("id", "name", "phone", "email", "tags", "language", "timezone", "source"),
    *("first_interaction_at", "last_interaction_at", "created_at", "updated_at"),
)
_CUSTOM = "custom_fields."


def beginning(format_: str, keys: Sequence[str]) -> str:
    """What stands before all contacts; `keys` are the custom fields with a column of their own."""
    if format_ != "csv":
        return ""
    return csv_text.lines([[*_COLUMNS, *(f"{_CUSTOM}{key}" for key in keys)]])


def lines(format_: str, contacts: Sequence[Contact], keys: Sequence[str]) -> str:
    """The contacts, a line each."""
    if format_ != "csv":
        return "".join(f"{contact.model_dump_json()}\n" for contact in contacts)
    return csv_text.lines(_cells(contact, keys) for contact in contacts)


def _cells(contact: Contact, keys: Sequence[str]) -> list[str]:
    shown = contact.model_dump(mode="json", include=set(_COLUMNS))
    shown["tags"] = ", ".join(contact.tags)
    custom = (contact.custom_fields.get(key) for key in keys)
    return [_text(value) for value in (*(shown[name] for name in _COLUMNS), *custom)]


def _text(value: object) -> str:
    """A value as a cell; what has parts is written as JSON, but for a list of texts."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return orjson.dumps(value).decode()
