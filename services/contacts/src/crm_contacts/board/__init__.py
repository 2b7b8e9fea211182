"""Contacts in pipelines: the board, moving them, where they were, and statuses that go."""

from service_kit.service import Service
from shared_events.contacts import pipeline

from crm_contacts.board import requests


def add_to(service: Service) -> None:
    """What is asked about contacts in pipelines."""
    service.answer(pipeline.GetBoard, requests.board)
    service.answer(pipeline.MoveContact, requests.move)
    service.answer(pipeline.ListStays, requests.list_stays)
    service.answer(pipeline.DeleteStatus, requests.delete_status)
    service.answer(pipeline.DeletePipeline, requests.delete_pipeline)
