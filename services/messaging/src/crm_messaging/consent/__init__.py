"""Who wants no messages, and where: kept from contacts' events, honoured by sending."""

from service_kit.service import Service
from shared_events.contacts.opt_out import ContactOptedIn, ContactOptedOut
from shared_events.topology import MESSAGING_REPLICAS

from crm_messaging.consent import consumers


def add_to(service: Service) -> None:
    """What contacts tells of it."""
    queue = MESSAGING_REPLICAS
    service.on(queue, ContactOptedOut, consumers.on_opted_out, together=True)
    service.on(queue, ContactOptedIn, consumers.on_opted_in, together=True)
