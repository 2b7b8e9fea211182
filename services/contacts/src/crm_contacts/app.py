"""Composition root of the contacts service."""

from service_kit.main import run_service
from service_kit.service import Service
from shared_events import topology
from shared_events.channel import ChannelMessageReceived
from shared_events.contact import (
    ContactCreated,
    ContactDeleted,
    ContactIdentityLinked,
    ContactUpdated,
)
from shared_events.requests.contacts import (
    CreateContact,
    DeleteContact,
    GetContact,
    ListContacts,
    PatchContact,
    ReplaceContact,
)

from crm_contacts.contacts.consumers import on_message_received
from crm_contacts.contacts.requests import ContactRequests
from crm_contacts.settings import ContactsSettings
from crm_contacts.tables import SCHEMA
from crm_contacts.timeline.consumers import on_contact_event

PACKAGE = "crm_contacts"


def create_service(settings: ContactsSettings) -> Service:
    """The service with everything it consumes and answers; nothing runs yet."""
    service = Service("contacts", settings, package=PACKAGE, schema=SCHEMA)
    service.consume(topology.CONTACTS_CHANNEL_EVENTS, {ChannelMessageReceived: on_message_received})
    service.consume(
        topology.CONTACT_ENRICHMENT,
        {
            ContactCreated: on_contact_event,
            ContactUpdated: on_contact_event,
            ContactDeleted: on_contact_event,
            ContactIdentityLinked: on_contact_event,
        },
    )
    contacts = ContactRequests(settings.default_region)
    service.answer(
        "contacts",
        {
            CreateContact: contacts.create,
            GetContact: contacts.get,
            ListContacts: contacts.list_contacts,
            ReplaceContact: contacts.replace,
            PatchContact: contacts.patch,
            DeleteContact: contacts.delete,
        },
    )
    return service


def main() -> None:
    """Entry point of `crm-contacts`."""
    run_service(create_service, ContactsSettings, package=PACKAGE, schema=SCHEMA)
