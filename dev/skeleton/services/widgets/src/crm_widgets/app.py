"""Composition root of the widgets service."""

from service_kit.main import run_service
from service_kit.service import Service
from shared_events.services import WIDGETS

from crm_widgets import widgets
from crm_widgets.settings import WidgetsSettings


def create_service(settings: WidgetsSettings) -> Service:
    """The service with everything it hears and answers; nothing runs yet."""
    service = Service(WIDGETS, settings)
    widgets.add_to(service)
    return service


def main() -> None:
    """Entry point of `crm-widgets`."""
    run_service(WIDGETS, create_service, WidgetsSettings)
