"""The ways contacts go: pipelines, their statuses, and who has been where."""

from service_kit.service import Service
from shared_events.contacts import pipeline

from crm_contacts.pipelines import requests


def add_to(service: Service) -> None:
    """What is asked about pipelines and statuses themselves."""
    service.answer(pipeline.CreatePipeline, requests.create)
    service.answer(pipeline.GetPipeline, requests.get)
    service.answer(pipeline.ListPipelines, requests.list_pipelines)
    service.answer(pipeline.ReplacePipeline, requests.change)
    service.answer(pipeline.PatchPipeline, requests.change)
    service.answer(pipeline.CreateStatus, requests.create_status)
    service.answer(pipeline.GetStatus, requests.get_status)
    service.answer(pipeline.ListStatuses, requests.list_statuses)
    service.answer(pipeline.ReplaceStatus, requests.change_status)
    service.answer(pipeline.PatchStatus, requests.change_status)
