"""Queuing again what an endpoint did not take, or was owed in a range."""

from service_kit.service import Service
from shared_events.webhooks import recovery

from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.recoveries.job import Recoveries
from crm_webhooks.recoveries.requests import RecoveryRequests


def add_to(service: Service, endpoints: EndpointRepository) -> None:
    """What is asked about recoveries, and the task that carries them out."""
    recoveries = Recoveries(service.database, endpoints)
    requests = RecoveryRequests(endpoints, recoveries.wake)
    service.answer(recovery.Recover, requests.start)
    service.answer(recovery.Replay, requests.replay)
    service.answer(recovery.GetRecovery, requests.get)
    service.background("recoveries", recoveries.run)
