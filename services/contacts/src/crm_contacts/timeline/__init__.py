"""What happened to a contact, entry by entry."""

from service_kit.service import Service
from shared_events import topology
from shared_events.contacts.contact import (
    ContactCreated,
    ContactDeleted,
    ContactIdentityLinked,
    ContactUpdated,
)
from shared_events.contacts.note import NoteAdded

from crm_contacts.timeline.consumers import on_contact_event


def add_to(service: Service) -> None:
    """Every event of a contact becomes an entry."""
    service.on(topology.CONTACT_ENRICHMENT, ContactCreated, on_contact_event)
    service.on(topology.CONTACT_ENRICHMENT, ContactUpdated, on_contact_event)
    service.on(topology.CONTACT_ENRICHMENT, ContactDeleted, on_contact_event)
    service.on(topology.CONTACT_ENRICHMENT, ContactIdentityLinked, on_contact_event)
    service.on(topology.CONTACTS_TIMELINE, NoteAdded, on_contact_event)
