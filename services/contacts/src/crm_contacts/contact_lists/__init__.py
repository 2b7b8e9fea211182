"""Some of a company's contacts, put on a list or found by a filter."""

from service_kit.service import Service
from shared_events.contacts import contact_list
from shared_events.messaging.bulk_send import BulkRecipientsWanted
from shared_events.topology import CONTACTS_BULK_SENDS

from crm_contacts.contact_lists import members, requests, telling


def add_to(service: Service) -> None:
    """What is asked about lists, and about the contacts on them."""
    service.answer(contact_list.CreateContactList, requests.create)
    service.answer(contact_list.GetContactList, requests.get)
    service.answer(contact_list.ListContactLists, requests.list_lists)
    service.answer(contact_list.ReplaceContactList, requests.change)
    service.answer(contact_list.PatchContactList, requests.change)
    service.answer(contact_list.DeleteContactList, requests.delete)
    service.answer(contact_list.PreviewContacts, members.preview)
    service.answer(contact_list.CountListed, members.count)
    service.answer(contact_list.ListListed, members.list_contacts)
    service.answer(contact_list.PutOnList, members.put)
    service.answer(contact_list.TakeOffList, members.take)
    service.on(CONTACTS_BULK_SENDS, BulkRecipientsWanted, telling.on_recipients_wanted)
