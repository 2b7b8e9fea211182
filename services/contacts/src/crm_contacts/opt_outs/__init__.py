"""Who wants no messages, and where."""

from service_kit.service import Service
from shared_events.contacts import opt_out

from crm_contacts.opt_outs import requests


def add_to(service: Service) -> None:
    """What is asked about opt-outs."""
    service.answer(opt_out.ListOptOuts, requests.list_of_contact)
    service.answer(opt_out.PutOptOut, requests.put)
    service.answer(opt_out.RemoveOptOut, requests.remove)
