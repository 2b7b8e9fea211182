"""People who turn out to be one, or two after all: what contacts tells, and what follows."""

from service_kit.service import Service
from shared_events.contacts.contact import ContactCreated, ContactIdentityLinked, ContactUpdated
from shared_events.contacts.merge import ContactMerged, ContactUnmerged
from shared_events.topology import MESSAGING_REPLICAS

from crm_messaging.merging import consumers


def add_to(service: Service) -> None:
    """Contacts as they are told of, and which of them are one."""
    queue = MESSAGING_REPLICAS
    service.on(queue, ContactCreated, consumers.on_contact_changed, together=True)
    service.on(queue, ContactUpdated, consumers.on_contact_changed, together=True)
    service.on(queue, ContactIdentityLinked, consumers.on_identity_linked, together=True)
    service.on(queue, ContactMerged, consumers.on_contact_merged, together=True)
    service.on(queue, ContactUnmerged, consumers.on_contact_unmerged)
