"""Many contacts in one request: created, changed, tagged and deleted."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.contacts.contact import About, Contact, Phone, Tag, Tags
from shared_events.envelope import Contract
from shared_events.requests import Command, Given, Name, Problem

MAX_OPERATIONS = 100


class CreateOne(About):
    """Add a contact, as `POST /contacts` does."""

    op: Literal["create"]
    name: Name
    phone: Phone | None = None
    tags: Tags = Field(default_factory=list)
    custom_fields: bounds.Document = Field(default_factory=dict)


class UpdateOne(About):
    """Change a contact by merge patch, but for its phone. `version`: only while it has this one."""

    op: Literal["update"]
    contact_id: UUID
    version: int | None = None
    name: Name | None = None
    tags: Tags | None = None
    custom_fields: bounds.Document | None = None


class TagOne(Given):
    """Put tags on a contact and take tags off it, whatever their case."""

    op: Literal["tag"]
    contact_id: UUID
    add: Tags = Field(default_factory=list)
    remove: Annotated[list[Tag], Field(max_length=50)] = Field(default_factory=list)


class DeleteOne(Given):
    """Remove a contact, softly. `version`: only while it has this one."""

    op: Literal["delete"]
    contact_id: UUID
    version: int | None = None


Operation = Annotated[CreateOne | UpdateOne | TagOne | DeleteOne, Field(discriminator="op")]


class BulkItem(Contract):
    """What became of an operation.

    `outcome`: `created`, `updated`, `unchanged`, `deleted`, or `refused`, and `problem` says why.
    `contact` is as all operations left it.
    """

    outcome: bounds.Word
    contact: Contact | None = None
    problem: Problem | None = None


class BulkOutcome(Contract):
    """What became of each operation, in their order."""

    data: list[BulkItem]
    errors: int


class BulkContacts(Command[BulkOutcome], key="contacts.contact.bulk"):
    """Create, change, tag and delete contacts, one operation after the other.

    What is refused leaves the others be. A contact that several are about changes its version once.
    Each needs the permission that its own route needs.
    """

    operations: list[Operation] = Field(min_length=1, max_length=MAX_OPERATIONS)
