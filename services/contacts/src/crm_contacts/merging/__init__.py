"""Two contacts that are one person become one, and two again."""

from service_kit.service import Service
from shared_events.contacts.merge import MergeContacts, UnmergeContacts

from crm_contacts.merging import requests
from crm_contacts.merging.forgetting import Forgetting


def add_to(service: Service) -> None:
    """What is asked about merging; what messages say of it comes by `contacts.consumers`."""
    service.answer(MergeContacts, requests.merge)
    service.answer(UnmergeContacts, requests.unmerge)
    service.background("purge-merges", Forgetting(service.database).run)
