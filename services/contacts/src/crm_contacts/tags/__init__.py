"""Tags: put on contacts and taken off one by one, and counted."""

from service_kit.service import Service
from shared_events.contacts import tag

from crm_contacts.tags import requests


def add_to(service: Service) -> None:
    """What is asked about tags."""
    service.answer(tag.AddTags, requests.add)
    service.answer(tag.RemoveTag, requests.remove)
    service.answer(tag.ListTags, requests.list_tags)
