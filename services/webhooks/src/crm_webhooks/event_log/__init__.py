"""Every domain event, kept for a while; customers pull the public ones from it."""

from collections.abc import Sequence
from typing import Any

from service_kit.database import Transaction
from service_kit.incoming import Incoming, read_bytes
from service_kit.service import Service
from shared_events import topology
from shared_events.webhooks import event
from shared_events.webhooks.journey import ListWebhookLegs
from shared_events.webhooks.subject_export import ListSubjectDeliveries

from crm_webhooks.event_log import requests
from crm_webhooks.event_log.consumer import log_events
from crm_webhooks.event_log.notices import Notices, spoken
from crm_webhooks.event_log.retention import purge_forever
from crm_webhooks.event_log.subject_exports import list_deliveries
from crm_webhooks.settings import WebhooksSettings

_LINGER_SECONDS = 0.25
"""Nobody waits long for the event log, so it is written in large batches."""


def add_to(service: Service, settings: WebhooksSettings) -> None:
    """The log hears everything; customers read it as a feed, or follow it."""
    notices = Notices(service.publisher)
    service.speaks(spoken())

    async def log(tx: Transaction, events: Sequence[Incoming[Any]]) -> None:
        await log_events(tx, events)
        tx.after_commit(lambda: notices.grown({logged.tenant_id for logged in events}))

    service.consume(
        topology.DOMAIN_EVENTS_ALL, read_bytes, log, linger=_LINGER_SECONDS, together=True
    )
    service.background("feed_notices", notices.run)
    service.answer(event.ListEvents, requests.list_events)
    service.answer(event.FollowEvents, requests.follow)
    service.answer(event.GetEvent, requests.get)
    service.answer(ListWebhookLegs, requests.list_legs)
    service.answer(ListSubjectDeliveries, list_deliveries)
    service.background(
        "log_retention", lambda: purge_forever(service.database, settings.webhook_retention_days)
    )
