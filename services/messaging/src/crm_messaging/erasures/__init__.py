"""Messaging's part of an erasure (docs/adr/0022), and of a contact's end."""

from service_kit.erasing import Erasures
from service_kit.service import Service
from shared_events.contacts.contact import ContactPurged
from shared_events.contacts.erasure import ErasureStarted
from shared_events.messaging.erasure import ErasedByMessaging
from shared_events.topology import MESSAGING_REPLICAS

from crm_messaging.erasures.consumers import Forgetting
from crm_messaging.erasures.purging import on_contact_purged
from crm_messaging.erasures.statements import erase


def add_to(service: Service) -> None:
    """Whoever is erased is nobody's replica at once; what was said with them is emptied after.

    Of who was deleted and is removed, only that.
    """
    forgetting = Forgetting(Erasures(service, ErasedByMessaging, erase))
    service.on(MESSAGING_REPLICAS, ErasureStarted, forgetting.on_started, together=True)
    service.on(MESSAGING_REPLICAS, ContactPurged, on_contact_purged, together=True)
