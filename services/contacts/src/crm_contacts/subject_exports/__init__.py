"""All that is kept about one person, in one archive (docs/adr/0021)."""

from collections.abc import Callable

from service_kit.service import Service
from shared_events.contacts import subject_export
from shared_events.messaging.subject_export import SubjectMessagesGathered
from shared_events.topology import CONTACTS_SUBJECT_EXPORTS

from crm_contacts.subject_exports.consumers import on_gathered
from crm_contacts.subject_exports.job import KIND, SubjectExports
from crm_contacts.subject_exports.requests import SubjectExportRequests

__all__ = ["KIND", "SubjectExports", "add_to"]


def add_to(service: Service, wake: Callable[[], None]) -> None:
    """What is asked about subject exports; `wake` tells of one that is to be worked on."""
    requests = SubjectExportRequests(wake)
    service.answer(subject_export.CreateSubjectExport, requests.create)
    service.answer(subject_export.GetSubjectExport, requests.get)
    service.answer(subject_export.ReadSubjectExport, requests.read)
    service.on(CONTACTS_SUBJECT_EXPORTS, SubjectMessagesGathered, on_gathered, together=True)
