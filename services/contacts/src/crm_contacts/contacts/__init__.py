"""People and groups, and the identities WhatsApp shows them under."""

from datetime import timedelta

from service_kit.service import Service
from shared_events import topology
from shared_events.channels.history import ChannelHistoryRead
from shared_events.channels.profile_picture import ChannelProfilePictureSeen
from shared_events.channels.traffic import ChannelCallReported, ChannelMessageReceived
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    GetContacts,
    ListContacts,
    PatchContact,
    ReplaceContact,
    RestoreContact,
    UpsertContact,
)

from crm_contacts.contacts.consumers import (
    on_call_reported,
    on_history_read,
    on_message_received,
)
from crm_contacts.contacts.pictures import on_seen
from crm_contacts.contacts.requests import ContactRequests
from crm_contacts.settings import ContactsSettings


def add_to(service: Service, settings: ContactsSettings) -> None:
    """What contacts are asked, and what they learn from messages."""
    restorable = timedelta(days=settings.contact_restore_days)
    requests = ContactRequests(settings.default_region, restorable)
    service.answer(CreateContact, requests.create)
    service.answer(GetContact, requests.get)
    service.answer(GetContacts, requests.get_many)
    service.answer(ListContacts, requests.list_contacts)
    service.answer(ReplaceContact, requests.replace)
    service.answer(UpsertContact, requests.upsert)
    service.answer(PatchContact, requests.patch)
    service.answer(DeleteContact, requests.delete)
    service.answer(RestoreContact, requests.restore)
    service.on(
        topology.CONTACTS_CHANNEL_EVENTS,
        ChannelMessageReceived,
        on_message_received,
        together=True,
    )
    called, pictures = ChannelCallReported, ChannelProfilePictureSeen
    service.on(topology.CONTACTS_CHANNEL_EVENTS, called, on_call_reported, together=True)
    service.on(topology.CONTACTS_CHANNEL_EVENTS, pictures, on_seen, together=True)
    service.on(topology.CONTACTS_HISTORY, ChannelHistoryRead, on_history_read, together=True)
