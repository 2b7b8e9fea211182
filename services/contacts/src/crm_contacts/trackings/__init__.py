"""Where contacts came from."""

from service_kit.service import Service
from shared_events.contacts import tracking

from crm_contacts.trackings import requests


def add_to(service: Service) -> None:
    """What is asked about trackings."""
    service.answer(tracking.CreateTracking, requests.create)
    service.answer(tracking.ListTrackings, requests.list_of_contact)
