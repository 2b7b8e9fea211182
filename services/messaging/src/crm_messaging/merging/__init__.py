"""Conversations of contacts that turn out to be one person."""

from service_kit.service import Service
from shared_events.contacts.merge import ContactMerged
from shared_events.topology import MESSAGING_REPLICAS

from crm_messaging.merging.consumers import on_contact_merged


def add_to(service: Service) -> None:
    """What contacts tells of people who are one."""
    service.on(MESSAGING_REPLICAS, ContactMerged, on_contact_merged, together=True)
