"""A second, durable driver of the outbox, for when no relay leads.

Temporal's sandbox imports this package for the workflow alone, so the door imports what it needs
only when it is opened.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service_kit.service import Service

    from crm_messaging.settings import MessagingSettings
    from crm_messaging.temporal import Temporal


def add_to(service: "Service", settings: "MessagingSettings", temporal: "Temporal | None") -> None:
    """Keep the one outbox workflow running, and work for it."""
    from crm_messaging.outbox_processor.activities import OutboxActivities, OutboxDriver

    if temporal is None:
        return
    driver = OutboxDriver(temporal, OutboxActivities(service.relay), settings)
    temporal.worker(driver.worker)
    temporal.on_connect(driver.ensure_running)
    service.background("outbox-workflow", driver.keep_running)
