"""Contacts out of files."""

from collections.abc import Callable

from service_kit.service import Service
from shared_events.contacts import contact_import

from crm_contacts.imports.job import KIND, Imports
from crm_contacts.imports.requests import ImportRequests

__all__ = ["KIND", "Imports", "add_to"]


def add_to(service: Service, wake: Callable[[], None]) -> None:
    """What is asked about imports; `wake` tells of one that is to be worked on."""
    requests = ImportRequests(wake)
    service.answer(contact_import.PutImportPart, requests.put)
    service.answer(contact_import.CreateImport, requests.create)
    service.answer(contact_import.GetImport, requests.get)
    service.answer(contact_import.DriveImport, requests.drive)
    service.answer(contact_import.ReadImportErrors, requests.errors)
