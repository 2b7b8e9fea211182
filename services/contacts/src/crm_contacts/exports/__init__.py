"""Contacts into files."""

from collections.abc import Callable

from service_kit.service import Service
from shared_events.contacts import contact_export

from crm_contacts.exports.job import KIND, Exports
from crm_contacts.exports.requests import ExportRequests

__all__ = ["KIND", "Exports", "add_to"]


def add_to(service: Service, wake: Callable[[], None]) -> None:
    """What is asked about exports; `wake` tells of one that is to be worked on."""
    requests = ExportRequests(wake)
    service.answer(contact_export.CreateExport, requests.create)
    service.answer(contact_export.GetExport, requests.get)
    service.answer(contact_export.ReadExport, requests.read)
