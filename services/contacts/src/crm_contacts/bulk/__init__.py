"""Many contacts in one request."""

from service_kit.service import Service
from shared_events.contacts.bulk import BulkContacts

from crm_contacts.bulk.requests import BulkRequests
from crm_contacts.settings import ContactsSettings


def add_to(service: Service, settings: ContactsSettings) -> None:
    """What is asked of many contacts at once."""
    service.answer(BulkContacts, BulkRequests(settings.default_region).apply)
