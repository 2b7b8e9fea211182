"""Reports: figures of a stretch of time, read from messages and sessions as they are."""

from service_kit.service import Service
from shared_events.messaging import report

from crm_messaging.reports import requests


def add_to(service: Service) -> None:
    """What is asked for as a report."""
    service.answer(report.GetConversationReport, requests.get_conversation_report)
