"""Each service's AsyncAPI document says what the contract says, and is one."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, get_type_hints

import pytest
from crm_dev import stack
from crm_testing.asyncapi import assert_valid
from service_kit import asyncapi
from service_kit.settings import load
from shared_events import topology
from shared_events.notices import FEED_NOTICES
from shared_events.registry import BY_KEY, EVENTS, REQUESTS
from shared_events.services import GATEWAY, SERVICES, WEBHOOKS, ServiceName

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[ServiceName], Document]:
    """Compose a service as the development stack would and describe it; nothing is started."""
    pieces = {p.name: p for p in stack.declare(tmp_path_factory.mktemp("stack"), {}).pieces}

    def describe(service: ServiceName) -> Document:
        create = import_module(f"{service.package}.app").create_service
        with pytest.MonkeyPatch.context() as patched:
            for name in os.environ.keys() & {"DATABASE_URL", "RABBITMQ_URL", "TEMPORAL_ADDRESS"}:
                patched.delenv(name)
            for name, value in pieces[service.name].environment.items():
                patched.setenv(name, value)
            settings = load(get_type_hints(create)["settings"])
        return asyncapi.document(create(settings))

    return describe


def operations(document: Document, action: str) -> set[str]:
    return {name for name, found in document["operations"].items() if found["action"] == action}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
class TestDocument:
    def test_fits_the_specification(
        self, service: ServiceName, document_of: Callable[[ServiceName], Document]
    ) -> None:
        assert_valid(document_of(service))

    def test_is_the_same_each_time(
        self, service: ServiceName, document_of: Callable[[ServiceName], Document]
    ) -> None:
        assert str(document_of(service)) == str(document_of(service))

    def test_hears_what_the_topology_says(
        self, service: ServiceName, document_of: Callable[[ServiceName], Document]
    ) -> None:
        document = document_of(service)
        queues = {queue.name for queue in topology.queues_of(service)}
        kinds = {request.kind for request in REQUESTS[service]}
        answered = {topology.request_queue(service, kind).name for kind in kinds}
        replies = {"replies", "notices"} if service is GATEWAY else set()
        assert operations(document, "receive") == queues | answered | replies
        schemas = document["components"]["schemas"]
        for queue in topology.queues_of(service):
            if queue.exchange is topology.WAHA_EVENTS or queue.name in ANYTHING:
                continue
            for event in topology.events_of(queue):
                assert event.__name__ in schemas, f"{event.event_type} of {queue.name}"
        for request in REQUESTS[service]:
            assert f"RequestEnvelope[{request.__name__}]" in schemas, request.key

    def test_says_what_the_contract_says(
        self, service: ServiceName, document_of: Callable[[ServiceName], Document]
    ) -> None:
        document = document_of(service)
        said = {event.event_type for event in EVENTS[service]}
        asked = {*BY_KEY, "waha.events"} if service is GATEWAY else set()
        noticed = {FEED_NOTICES.name} if service is WEBHOOKS else set()
        assert operations(document, "send") == said | asked | noticed


ANYTHING = {
    topology.CONTACT_WEBHOOK.name,
    topology.WEBHOOKS_DELIVERY.name,
    topology.DOMAIN_EVENTS_ALL.name,
}
"""Queues whose consumer takes an event as the bytes it came in."""
