"""Tags: the words a company sorts its contacts by, compared without case."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.contacts.contact import Contact, Tag
from shared_events.envelope import Contract
from shared_events.requests import Command, Nothing, Page, Query

MAX_COUNTED = 20_000
"""The newest contacts of a company, whose tags are counted."""


class AddTags(Command[Contact], key="contacts.tag.add"):
    """Put tags on a contact, beside those it has. Which it has already, in whatever case, stay."""

    contact_id: UUID
    tags: Annotated[list[Tag], Field(min_length=1, max_length=50)]


class RemoveTag(Command[Nothing], key="contacts.tag.remove"):
    """Take a tag off a contact; one it does not have is no error."""

    contact_id: UUID
    tag: Tag


class TagCount(Contract):
    """A tag in lower case, and how many contacts have it."""

    tag: bounds.Name
    contacts: int


class ListTags(Query[Page[TagCount]], key="contacts.tag.list"):
    """The tags of the newest 20,000 contacts, the most frequent first."""

    limit: int = Field(default=50, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=10_000)
