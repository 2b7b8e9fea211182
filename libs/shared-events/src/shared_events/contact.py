"""Events of contacts."""

from typing import ClassVar
from uuid import UUID

from shared_events.envelope import EventData
from shared_events.resources import Contact, Identity


class ContactCreated(EventData):
    """A contact exists: from its first message or from REST."""

    event_type: ClassVar[str] = "contact.created"
    aggregate_type: ClassVar[str] = "contact"
    description: ClassVar[str] = "A contact was created"

    contact: Contact


class ContactUpdated(EventData):
    """A contact changed; `changed` names the fields."""

    event_type: ClassVar[str] = "contact.updated"
    aggregate_type: ClassVar[str] = "contact"
    description: ClassVar[str] = "A contact was updated"

    contact: Contact
    changed: list[str]


class ContactDeleted(EventData):
    """A contact was removed (softly)."""

    event_type: ClassVar[str] = "contact.deleted"
    aggregate_type: ClassVar[str] = "contact"
    description: ClassVar[str] = "A contact was deleted"

    contact_id: UUID


class ContactIdentityLinked(EventData):
    """Another WhatsApp identity turned out to be this contact (a LID was resolved)."""

    event_type: ClassVar[str] = "contact.identity_linked"
    aggregate_type: ClassVar[str] = "contact"
    description: ClassVar[str] = "A WhatsApp identity was linked to a contact"

    contact_id: UUID
    identity: Identity
