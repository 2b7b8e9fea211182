"""Where contacts came from."""

from service_kit.service import Service
from shared_events.contacts import tracking
from shared_events.topology import CONTACT_ENRICHMENT, CONTACTS_TIMELINE

from crm_contacts.trackings import requests
from crm_contacts.trackings.enriching import on_created


def add_to(service: Service) -> None:
    """What is asked about trackings, and what is read out of them."""
    service.answer(tracking.CreateTracking, requests.create)
    service.answer(tracking.ListTrackings, requests.list_of_contact)
    service.on(CONTACT_ENRICHMENT, tracking.TrackingCreated, on_created, together=True)
    service.ignore(CONTACTS_TIMELINE, tracking.TrackingEnriched)
