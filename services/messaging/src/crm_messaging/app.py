"""Composition root of messaging."""

from service_kit.main import run_service
from service_kit.service import Service
from shared_events.services import MESSAGING

from crm_messaging import (
    bulk_sends,
    calls,
    consent,
    conversations,
    erasures,
    groups,
    history,
    labels,
    merging,
    messages,
    replicas,
    reports,
    sessions,
    subject_exports,
)
from crm_messaging.settings import MessagingSettings


def create_service(settings: MessagingSettings) -> Service:
    """Messaging, wired and not started yet."""
    service = Service(MESSAGING, settings)
    replicas.add_to(service)
    merging.add_to(service)
    consent.add_to(service)
    messages.add_to(service, settings)
    groups.add_to(service)
    calls.add_to(service)
    labels.add_to(service)
    bulk_sends.add_to(service, settings)
    history.add_to(service)
    conversations.add_to(service)
    sessions.add_to(service, settings)
    erasures.add_to(service)
    subject_exports.add_to(service)
    reports.add_to(service)
    return service


def main() -> None:
    """Entry point of `crm-messaging`."""
    run_service(MESSAGING, create_service, MessagingSettings)
