"""Who wants no messages, and where."""

from service_kit.service import Service
from shared_events.contacts import opt_out
from shared_events.gateway.company import SettingsUpdated
from shared_events.topology import CONTACTS_SETTINGS

from crm_contacts.opt_outs import requests, words


def add_to(service: Service) -> None:
    """What is asked about opt-outs, and by which words customers opt out themselves."""
    service.on(CONTACTS_SETTINGS, SettingsUpdated, words.on_settings_updated, together=True)
    service.answer(opt_out.ListOptOuts, requests.list_of_contact)
    service.answer(opt_out.PutOptOut, requests.put)
    service.answer(opt_out.RemoveOptOut, requests.remove)
