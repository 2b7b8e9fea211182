"""Contact lists: some of a company's contacts, put there one by one or found by a filter."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.contacts.contact import Contact
from shared_events.contacts.contact_filter import Filter
from shared_events.envelope import Contract
from shared_events.requests import Command, Given, ListQuery, Name, Nothing, Query

ListKind = Literal["static", "dynamic"]
"""Whether contacts are put on the list, or found by its filter whenever it is read."""

MAX_LISTS = 500
"""Lists of a company."""
MAX_AT_ONCE = 1000
"""Contacts that one request puts on a list."""
MAX_COUNTED = 10_000
"""As far as contacts are counted."""

Description = Annotated[str, StringConstraints(max_length=1000)]


class ContactList(Contract):
    """Some of a company's contacts, under a name. `filter` is empty where they are put there."""

    id: UUID
    name: bounds.Name
    description: Description | None = None
    kind: bounds.Word
    filter: Filter | None = None
    version: int
    created_at: datetime
    updated_at: datetime


class ContactCount(Contract):
    """How many contacts there are; `has_more` when there are more, who were not counted."""

    count: int
    has_more: bool = False


class ContactPreview(ContactCount):
    """How many contacts a filter finds, and the newest of them."""

    data: list[Contact]


class Put(Contract):
    """How many contacts were put on a list; the others asked for were on it."""

    added: int


class _ListDetails(Given):
    name: Name
    description: Description | None = None
    filter: Filter | None = Field(default=None, description="Of a dynamic list, and only there.")


class CreateContactList(_ListDetails, Command[ContactList], key="contacts.list.create"):
    """Make a list. Its kind never changes."""

    list_kind: ListKind = Field(default="static", alias="kind")


class ReplaceContactList(_ListDetails, Command[ContactList], key="contacts.list.replace"):
    """Replace what is said of a list. Contacts that were put on it stay."""

    list_id: UUID


class PatchContactList(Command[ContactList], key="contacts.list.patch"):
    """Change a list: what is left out stays; null clears a description."""

    list_id: UUID
    name: Name | None = None
    description: Description | None = None
    filter: Filter | None = None


class GetContactList(Query[ContactList], key="contacts.list.get"):
    """Read what is said of a list."""

    list_id: UUID


class ListContactLists(ListQuery[ContactList], key="contacts.list.list"):
    """All lists, newest first."""


class DeleteContactList(Command[Nothing], key="contacts.list.delete"):
    """Remove a list. Its contacts stay contacts."""

    list_id: UUID


class PreviewContacts(Query[ContactPreview], key="contacts.list.preview"):
    """Count the contacts a filter finds, and show some, before it is saved."""

    filter: Filter
    limit: int = Field(default=50, ge=1, le=100)


class CountListed(Query[ContactCount], key="contacts.list.count"):
    """Count the contacts on a list."""

    list_id: UUID


class ListListed(ListQuery[Contact], key="contacts.list.contacts"):
    """The contacts on a list, in a stable order: the newest first where a filter finds them."""

    list_id: UUID


class PutOnList(Command[Put], key="contacts.list.put"):
    """Put contacts on a static list. Those that are on it stay on it."""

    list_id: UUID
    contact_ids: list[UUID] = Field(min_length=1, max_length=MAX_AT_ONCE)


class TakeOffList(Command[Nothing], key="contacts.list.take"):
    """Take contacts off a static list. Those that are not on it stay off it."""

    list_id: UUID
    contact_ids: list[UUID] = Field(min_length=1, max_length=100)
