"""Contacts: the people and groups a company talks with."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import EmailStr, Field, StringConstraints, field_validator

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.identity import IdentityKind
from shared_events.requests import (
    BatchQuery,
    Command,
    Given,
    ListQuery,
    Moment,
    Name,
    Nothing,
    Query,
)


class Identity(Contract):
    """One way WhatsApp shows a person (docs/architecture.md, "Identity")."""

    kind: IdentityKind
    value: bounds.WhatsAppValue


class ContactIdentity(Identity):
    """An identity of a contact's. `proved`: a message showed it; else somebody typed it."""

    proved: bool = True


class Contact(Contract):
    """A person or group a company talks with. `phone` is E.164, for display; it may be absent."""

    id: UUID
    name: bounds.Name
    phone: bounds.Phone | None = None
    email: bounds.Email | None = None
    profile_picture_url: bounds.Url | None = None
    tags: list[bounds.Tag] = Field(default_factory=list)
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    language: Annotated[str, StringConstraints(max_length=35)] | None = None
    timezone: Annotated[str, StringConstraints(max_length=64)] | None = None
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None
    identities: list[Identity] = Field(default_factory=list)
    source: bounds.Word
    first_interaction_at: datetime | None = None
    last_interaction_at: datetime | None = None
    version: int
    created_at: datetime
    updated_at: datetime


class DeletedContact(Contact):
    """A contact that was deleted, and can be restored until `restorable_until`."""

    deleted_at: datetime
    restorable_until: datetime


Tag = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Phone = Annotated[str, StringConstraints(min_length=4, max_length=50)]
Email = Annotated[EmailStr, Field(max_length=255)]
MAX_TAGS = 50
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]


class About(Given):
    """What a request may say of a contact, beside name and phone."""

    email: Email | None = None
    language: str | None = Field(default=None, max_length=35)
    timezone: str | None = Field(default=None, max_length=64)
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None


class _Details(About):
    phone: Phone | None = None


class CreateContact(_Details, Command[Contact], key="contacts.contact.create"):
    """Add a contact. A phone that another contact has is a conflict, `contact_exists`."""

    name: Name
    tags: Tags = Field(default_factory=list)
    custom_fields: bounds.Document = Field(default_factory=dict)


class ReplaceContact(_Details, Command[Contact], key="contacts.contact.replace"):
    """Replace a contact: what is left out becomes empty."""

    contact_id: UUID
    name: Name
    tags: Tags = Field(default_factory=list)
    custom_fields: bounds.Document = Field(default_factory=dict)


class UpsertContact(About, Command[Contact], key="contacts.contact.upsert"):
    """Replace the contact that has an identity, or add one: what is left out becomes empty.

    Its phone stays, but for a contact that has none and is known by one.
    """

    identity_kind: IdentityKind
    value: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    name: Name
    tags: Tags = Field(default_factory=list)
    custom_fields: bounds.Document = Field(default_factory=dict)


class PatchContact(_Details, Command[Contact], key="contacts.contact.patch"):
    """Change a contact by JSON merge patch (RFC 7396): null clears, what is left out stays."""

    contact_id: UUID
    name: Name | None = None
    tags: Tags | None = None
    custom_fields: bounds.Document | None = None

    @field_validator("name")
    @classmethod
    def _a_name_cannot_be_cleared(cls, value: str | None) -> str:
        if value is None:
            raise ValueError("a contact needs a name")
        return value


class GetContact(Query[Contact], key="contacts.contact.get"):
    """Read one contact."""

    contact_id: UUID


class GetContacts(BatchQuery[Contact], key="contacts.contact.get_many"):
    """Read several contacts, such as the lists of others name."""


class DeleteContact(Command[Nothing], key="contacts.contact.delete"):
    """Remove a contact, softly."""

    contact_id: UUID


class RestoreContact(Command[Contact], key="contacts.contact.restore"):
    """Take a deletion back, for 30 days. Who was not deleted stays as it is."""

    contact_id: UUID


class ListDeletedContacts(ListQuery[DeletedContact], key="contacts.contact.list_deleted"):
    """Find deleted contacts that can be restored, the latest deleted first."""


ContactSort = Literal[
    "created_at", "-created_at", "name", "-name", "last_interaction_at", "-last_interaction_at"
]


class ListContacts(ListQuery[Contact], key="contacts.contact.list"):
    """Find contacts. `search` looks at name, phone and e-mail, without case or accents."""

    search: str | None = Field(default=None, min_length=1, max_length=200)
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")
    sort: ContactSort = "-created_at"


class ContactCreated(
    EventData, type="contact.created", aggregate="contact", public=True, many=True
):
    """A contact was created, by its first message or by REST.

    A `quiet` one was found in a chat's history: the feed tells of it, webhooks do not.
    """

    contact: Contact
    quiet: bool = False


class ContactUpdated(
    EventData, type="contact.updated", aggregate="contact", public=True, many=True
):
    """A contact was updated; `changed` names the fields."""

    contact: Contact
    changed: list[str]


class ContactDeleted(EventData, type="contact.deleted", aggregate="contact", public=True):
    """A contact was deleted (softly)."""

    contact_id: UUID


class ContactRestored(EventData, type="contact.restored", aggregate="contact", public=True):
    """A deleted contact is back: by request, or because it wrote, was created or imported again."""

    contact: Contact


class ContactPurged(EventData, type="contact.purged", aggregate="contact", public=True):
    """A contact deleted long ago was removed for good, with all that was merged into it."""

    contact_id: UUID
    merged: list[UUID] = Field(default_factory=list, max_length=1000)


class ContactIdentityLinked(EventData, type="contact.identity_linked", aggregate="contact"):
    """A WhatsApp identity turned out to be this contact's, or was typed as its."""

    contact_id: UUID
    identity: ContactIdentity


class ContactIdentityReleased(EventData, type="contact.identity_released", aggregate="contact"):
    """A typed number was taken off this contact, whose no message had proved it to be.

    Whoever writes from it is a contact of their own: `next_contact_id`.
    """

    contact_id: UUID
    identity: ContactIdentity
    next_contact_id: UUID
