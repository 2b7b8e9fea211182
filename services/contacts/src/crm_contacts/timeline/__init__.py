"""What happened to a contact, entry by entry."""

from service_kit.service import Service
from shared_events import topology
from shared_events.contacts.contact import (
    ContactCreated,
    ContactDeleted,
    ContactIdentityLinked,
    ContactIdentityReleased,
    ContactUpdated,
)
from shared_events.contacts.note import NoteAdded, NoteDeleted, NoteUpdated
from shared_events.contacts.pipeline import ContactPipelineStatusChanged

from crm_contacts.timeline.consumers import on_contact_event


def add_to(service: Service) -> None:
    """Every event of a contact becomes an entry."""
    for event in (
        ContactCreated,
        ContactUpdated,
        ContactDeleted,
        ContactIdentityLinked,
        ContactIdentityReleased,
        ContactPipelineStatusChanged,
    ):
        service.on(topology.CONTACT_ENRICHMENT, event, on_contact_event, together=True)
    for told in (NoteAdded, NoteUpdated, NoteDeleted):
        service.on(topology.CONTACTS_TIMELINE, told, on_contact_event, together=True)
