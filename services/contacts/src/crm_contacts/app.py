"""Composition root of the contacts service."""

from service_kit.main import run_service
from service_kit.service import Service
from shared_events.services import CONTACTS

from crm_contacts import (
    board,
    bulk,
    contact_lists,
    contacts,
    custom_fields,
    deletions,
    erasures,
    jobs,
    merging,
    notes,
    opt_outs,
    pipelines,
    tags,
    timeline,
    trackings,
)
from crm_contacts.settings import ContactsSettings


def create_service(settings: ContactsSettings) -> Service:
    """The service with everything it hears and answers; nothing runs yet."""
    service = Service(CONTACTS, settings)
    contacts.add_to(service, settings)
    bulk.add_to(service, settings)
    deletions.add_to(service, settings)
    merging.add_to(service)
    pipelines.add_to(service)
    board.add_to(service)
    custom_fields.add_to(service)
    contact_lists.add_to(service)
    notes.add_to(service)
    opt_outs.add_to(service)
    tags.add_to(service)
    timeline.add_to(service)
    trackings.add_to(service)
    jobs.add_to(service, settings)
    erasures.add_to(service)
    return service


def main() -> None:
    """Entry point of `crm-contacts`."""
    run_service(CONTACTS, create_service, ContactsSettings)
