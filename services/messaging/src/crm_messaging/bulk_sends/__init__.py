"""Bulk sends: one message to many contacts, at the pace of the channel (docs/adr/0031)."""

from functools import partial

from service_kit.jobs.dispatch import see_to
from service_kit.purging import purge_forever
from service_kit.service import Service
from shared_events.contacts.list_page import ContactListRead
from shared_events.messaging import bulk_send
from shared_events.topology import MESSAGING_REPLICAS

from crm_messaging.bulk_sends import repository
from crm_messaging.bulk_sends.gathering import Gathering
from crm_messaging.bulk_sends.requests import BulkSendRequests
from crm_messaging.bulk_sends.runner import Runner
from crm_messaging.messages.requests import Sending
from crm_messaging.settings import MessagingSettings


def add_to(service: Service, settings: MessagingSettings) -> None:
    """What is asked about bulk sends, who is on their lists, and whoever works on them."""
    dispatch = see_to(service, "bulk", repository.SENDS.due, Runner(service.database).advance)
    requests = BulkSendRequests(Sending.by_settings(settings), dispatch.wake)
    service.answer(bulk_send.SendInBulk, requests.send)
    service.answer(bulk_send.GetBulkSend, requests.get)
    service.answer(bulk_send.DriveBulkSend, requests.drive)
    service.answer(bulk_send.ListBulkRecipients, requests.list_recipients)
    on_page = Gathering(dispatch.wake).on_page
    service.on(MESSAGING_REPLICAS, ContactListRead, on_page, together=True)
    service.background(
        "purge-bulk-sends",
        partial(purge_forever, service.database, "bulk", repository.purge, every_seconds=600),
    )
