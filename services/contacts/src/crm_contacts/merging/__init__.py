"""Two contacts that are one person become one, and two again."""

from functools import partial

from service_kit.purging import purge_forever
from service_kit.service import Service
from shared_events.contacts.merge import MergeContacts, UnmergeContacts

from crm_contacts.merging import handing_back, requests


def add_to(service: Service) -> None:
    """What is asked about merging; what messages say of it comes by `contacts.consumers`."""
    service.answer(MergeContacts, requests.merge)
    service.answer(UnmergeContacts, requests.unmerge)
    service.background(
        "purge-merges",
        partial(purge_forever, service.database, "merges", handing_back.purge, every_seconds=3600),
    )
