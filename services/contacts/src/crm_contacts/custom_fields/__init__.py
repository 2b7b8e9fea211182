"""What a company wants to know of its contacts, and whether they say it."""

from service_kit.service import Service
from shared_events.contacts import custom_field

from crm_contacts.custom_fields import requests


def add_to(service: Service) -> None:
    """What is asked about definitions of custom fields."""
    service.answer(custom_field.CreateCustomField, requests.create)
    service.answer(custom_field.GetCustomField, requests.get)
    service.answer(custom_field.ListCustomFields, requests.list_fields)
    service.answer(custom_field.ReplaceCustomField, requests.change)
    service.answer(custom_field.PatchCustomField, requests.change)
    service.answer(custom_field.DeleteCustomField, requests.delete)
