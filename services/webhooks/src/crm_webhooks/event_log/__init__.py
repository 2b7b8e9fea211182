"""Every domain event, kept for support and audits."""

from service_kit.incoming import read_bytes
from service_kit.service import Service
from shared_events import topology

from crm_webhooks.event_log.consumer import log_events

_LINGER_SECONDS = 0.25
"""Nobody waits for the event log, so it is written in large batches."""


def add_to(service: Service) -> None:
    """The log hears everything."""
    service.consume(
        topology.DOMAIN_EVENTS_ALL, read_bytes, log_events, linger=_LINGER_SECONDS, together=True
    )
