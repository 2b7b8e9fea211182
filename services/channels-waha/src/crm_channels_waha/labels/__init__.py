"""Labels of WhatsApp Business: what each number's are called, and which are read from WAHA."""

from service_kit.service import Service
from shared_events.channels.label import ListLabels

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.labels.looking import LabelReading
from crm_channels_waha.labels.requests import list_labels


def add_to(service: Service, connections: Connections) -> None:
    """What is asked about labels, and the task that reads those nobody told us of."""
    service.answer(ListLabels, list_labels)
    service.background("labels", LabelReading(service.database, connections).run)
