"""Deleted contacts: who can be restored, and who is removed for good after that."""

from datetime import timedelta
from functools import partial

from service_kit.purging import purge_forever
from service_kit.service import Service
from shared_events.contacts.contact import ContactPurged, ListDeletedContacts
from shared_events.topology import CONTACT_ENRICHMENT

from crm_contacts.deletions.listing import Deleted
from crm_contacts.deletions.purging import purge
from crm_contacts.settings import ContactsSettings


def add_to(service: Service, settings: ContactsSettings) -> None:
    """What is asked about them, and the task that removes them."""
    kept = timedelta(days=settings.contact_restore_days)
    service.answer(ListDeletedContacts, Deleted(kept).page)
    service.ignore(CONTACT_ENRICHMENT, ContactPurged)
    service.background(
        "purge-contacts",
        partial(
            purge_forever,
            service.database,
            "deletions",
            partial(purge, kept=kept),
            every_seconds=3600,
        ),
    )
