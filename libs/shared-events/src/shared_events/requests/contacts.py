"""Requests contacts answers."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import EmailStr, Field, StringConstraints, field_validator

from shared_events.requests.base import Kind, ListRequest, Moment, Nothing, Page, Request
from shared_events.resources import Contact

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Phone = Annotated[str, StringConstraints(min_length=4, max_length=50)]
Email = Annotated[EmailStr, Field(max_length=255)]
Tags = Annotated[list[Tag], Field(max_length=50)]
CustomFields = Annotated[dict[str, Any], Field(max_length=64)]


class _ContactFields(Request):
    email: Email | None = None
    phone: Phone | None = None
    language: str | None = Field(default=None, max_length=35)
    timezone: str | None = Field(default=None, max_length=64)
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None


class CreateContact(_ContactFields):
    """Add a contact. A phone that another contact has is a conflict, `contact_exists`."""

    key: ClassVar[str] = "contacts.contact.create"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Contact]] = Contact

    name: Name
    tags: Tags = Field(default_factory=list)
    custom_fields: CustomFields = Field(default_factory=dict)


class ReplaceContact(_ContactFields):
    """Replace a contact: what is left out becomes empty."""

    key: ClassVar[str] = "contacts.contact.replace"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Contact]] = Contact
    path: ClassVar[tuple[str, ...]] = ("contact_id",)

    contact_id: UUID
    name: Name
    tags: Tags = Field(default_factory=list)
    custom_fields: CustomFields = Field(default_factory=dict)


class PatchContact(_ContactFields):
    """Change a contact by JSON merge patch (RFC 7396): null clears, what is left out stays."""

    key: ClassVar[str] = "contacts.contact.patch"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Contact]] = Contact
    path: ClassVar[tuple[str, ...]] = ("contact_id",)

    contact_id: UUID
    name: Name | None = None
    tags: Tags | None = None
    custom_fields: CustomFields | None = None

    @field_validator("name")
    @classmethod
    def _a_name_cannot_be_cleared(cls, value: str | None) -> str:
        if value is None:
            raise ValueError("a contact needs a name")
        return value


class GetContact(Request):
    """Read one contact."""

    key: ClassVar[str] = "contacts.contact.get"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Contact]] = Contact
    path: ClassVar[tuple[str, ...]] = ("contact_id",)

    contact_id: UUID


class DeleteContact(Request):
    """Remove a contact, softly."""

    key: ClassVar[str] = "contacts.contact.delete"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Nothing]] = Nothing
    path: ClassVar[tuple[str, ...]] = ("contact_id",)

    contact_id: UUID


ContactSort = Literal[
    "created_at", "-created_at", "name", "-name", "last_interaction_at", "-last_interaction_at"
]


class ListContacts(ListRequest):
    """Find contacts. `search` looks at name, phone and e-mail, without case or accents."""

    key: ClassVar[str] = "contacts.contact.list"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Page[Contact]]] = Page[Contact]

    search: str | None = Field(default=None, min_length=1, max_length=200)
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")
    sort: ContactSort = "-created_at"
