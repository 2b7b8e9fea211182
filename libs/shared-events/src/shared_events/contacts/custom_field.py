"""Custom fields: what a company wants to know of its contacts beside what everybody does."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.requests import Command, Given, ListQuery, Nothing, Query

FieldType = Literal[
    "text", "number", "boolean", "date", "select", "multi_select", "url", "email", "phone"
]
"""What a value may be. A date is written `2026-01-31`; a select is one of the options."""

MAX_CUSTOM_FIELDS = 64
"""Definitions of a company: as many as a contact has room for."""
MAX_OPTIONS = 100
"""Options of a select."""

Key = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Option = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Options = Annotated[list[Option], Field(max_length=MAX_OPTIONS)]


class CustomField(Contract):
    """What is said of the values that contacts have under one key of their `custom_fields`."""

    id: UUID
    key: Key
    label: bounds.Name
    type: bounds.Word
    required: bool
    options: list[bounds.Name] = Field(default_factory=list)
    position: int
    version: int
    created_at: datetime
    updated_at: datetime


class _FieldDetails(Given):
    label: Label
    required: bool = Field(default=False, description="No contact is written without a value.")
    options: Options = Field(default_factory=list, description="What may be selected.")
    position: int = Field(default=0, ge=0, le=10_000, description="The smaller, the earlier.")


class CreateCustomField(_FieldDetails, Command[CustomField], key="contacts.field.create"):
    """Define a custom field. Contacts that are there already stay as they are."""

    field_key: Key = Field(alias="key", description="Where contacts have it, once and for all.")
    type: FieldType


class ReplaceCustomField(_FieldDetails, Command[CustomField], key="contacts.field.replace"):
    """Replace what is said of a field, but for its key and type. Contacts stay as they are."""

    field_id: UUID


class PatchCustomField(Command[CustomField], key="contacts.field.patch"):
    """Change what is said of a field: what is left out stays. Contacts stay as they are."""

    field_id: UUID
    label: Label | None = None
    required: bool | None = None
    options: Options | None = None
    position: int | None = Field(default=None, ge=0, le=10_000)


class GetCustomField(Query[CustomField], key="contacts.field.get"):
    """Read one definition."""

    field_id: UUID


class ListCustomFields(ListQuery[CustomField], key="contacts.field.list"):
    """All definitions, by position."""


class DeleteCustomField(Command[Nothing], key="contacts.field.delete"):
    """Remove a definition. Contacts keep their values, which are then anything."""

    field_id: UUID
