"""Messaging's part of subject exports: what was said with a person (docs/adr/0021)."""

from functools import partial

from service_kit.purging import purge_forever
from service_kit.service import Service
from shared_events.contacts.subject_export import SubjectExportStarted
from shared_events.messaging.subject_export import ReadSubjectMessages
from shared_events.topology import MESSAGING_REPLICAS

from crm_messaging.subject_exports import repository
from crm_messaging.subject_exports.gathering import Gathering
from crm_messaging.subject_exports.requests import read_messages


def add_to(service: Service) -> None:
    """Whoever is told of a subject export gathers, a page at a time; what there is can be read."""
    gathering = Gathering(service.database)
    service.on(MESSAGING_REPLICAS, SubjectExportStarted, gathering.on_started, together=True)
    service.answer(ReadSubjectMessages, read_messages)
    service.background("subject-exports", gathering.run)
    service.background(
        "purge-subject-exports",
        partial(purge_forever, service.database, "gather", repository.purge, every_seconds=600),
    )
