"""Every domain event, kept for a while; customers pull the public ones from it."""

from service_kit.incoming import read_bytes
from service_kit.service import Service
from shared_events import topology
from shared_events.webhooks import event

from crm_webhooks.event_log import requests
from crm_webhooks.event_log.consumer import log_events
from crm_webhooks.event_log.retention import purge_forever
from crm_webhooks.settings import WebhooksSettings

_LINGER_SECONDS = 0.25
"""Nobody waits long for the event log, so it is written in large batches."""


def add_to(service: Service, settings: WebhooksSettings) -> None:
    """The log hears everything; customers read it as a feed."""
    service.consume(
        topology.DOMAIN_EVENTS_ALL, read_bytes, log_events, linger=_LINGER_SECONDS, together=True
    )
    service.answer(event.ListEvents, requests.list_events)
    service.answer(event.GetEvent, requests.get)
    service.background(
        "log_retention", lambda: purge_forever(service.database, settings.webhook_retention_days)
    )
