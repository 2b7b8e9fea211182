"""What happened to a contact, entry by entry."""

from service_kit.service import Service
from shared_events import topology
from shared_events.contacts.contact import (
    ContactCreated,
    ContactDeleted,
    ContactIdentityLinked,
    ContactIdentityReleased,
    ContactRestored,
    ContactUpdated,
)
from shared_events.contacts.merge import ContactMerged, ContactUnmerged
from shared_events.contacts.note import NoteAdded, NoteDeleted, NoteUpdated
from shared_events.contacts.opt_out import ContactOptedIn, ContactOptedOut
from shared_events.contacts.pipeline import ContactPipelineStatusChanged
from shared_events.contacts.timeline import ListTimeline
from shared_events.contacts.tracking import TrackingCreated
from shared_events.messaging.call import CallAccepted, CallReceived, CallRejected
from shared_events.messaging.label import LabelAdded, LabelRemoved
from shared_events.messaging.session import (
    SessionAssigned,
    SessionClosed,
    SessionExpired,
    SessionReopened,
    SessionStarted,
)

from crm_contacts.timeline.consumers import on_contact_event
from crm_contacts.timeline.requests import list_of_contact


def add_to(service: Service) -> None:
    """Every event about a contact becomes an entry; a contact's entries can be listed."""
    for event in (
        ContactCreated,
        ContactUpdated,
        ContactDeleted,
        ContactRestored,
        ContactIdentityLinked,
        ContactIdentityReleased,
        ContactMerged,
        ContactUnmerged,
        ContactPipelineStatusChanged,
        ContactOptedOut,
        ContactOptedIn,
    ):
        service.on(topology.CONTACT_ENRICHMENT, event, on_contact_event, together=True)
    for told in (
        NoteAdded,
        NoteUpdated,
        NoteDeleted,
        SessionStarted,
        SessionAssigned,
        SessionClosed,
        SessionExpired,
        SessionReopened,
        TrackingCreated,
        CallReceived,
        CallAccepted,
        CallRejected,
        LabelAdded,
        LabelRemoved,
    ):
        service.on(topology.CONTACTS_TIMELINE, told, on_contact_event, together=True)
    service.answer(ListTimeline, list_of_contact)
