"""This service's part of an erasure (docs/adr/0022)."""

from service_kit.erasing import Erasures
from service_kit.service import Service
from shared_events.contacts.erasure import ErasureStarted
from shared_events.topology import WEBHOOKS_ERASURES
from shared_events.webhooks.erasure import ErasedByWebhooks

from crm_webhooks.erasures.statements import erase


def add_to(service: Service) -> None:
    """What was told of an erased person, to whomever, is kept no longer."""
    erasures = Erasures(service, ErasedByWebhooks, erase)
    service.on(WEBHOOKS_ERASURES, ErasureStarted, erasures.on_started, together=True)
