"""Widgets, as customers make and read them."""

from service_kit.service import Service
from shared_events.widgets.widget import CreateWidget, GetWidget, ListWidgets

from crm_widgets.widgets import requests


def add_to(service: Service) -> None:
    """What is asked about widgets."""
    service.answer(CreateWidget, requests.create)
    service.answer(GetWidget, requests.get)
    service.answer(ListWidgets, requests.list_widgets)
