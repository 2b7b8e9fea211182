"""Messages that wait for their time."""

from service_kit.service import Service
from shared_events.messaging import scheduled

from crm_messaging.messages.scheduled import requests


def add_to(service: Service) -> None:
    """What is asked about them."""
    service.answer(scheduled.ListScheduledMessages, requests.list_scheduled)
    service.answer(scheduled.CancelScheduledMessage, requests.cancel_scheduled)
