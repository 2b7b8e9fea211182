"""The AsyncAPI 3 document of a service, from the subscribers and publishers it registers."""

import json
from typing import Any, cast

from faststream.rabbit import RabbitBroker
from faststream.specification import AsyncAPI

from service_kit.service import Service

_VERSION = "1"


def document(service: Service) -> dict[str, Any]:
    """What the service says, hears and answers on the bus; it is not started for it."""
    # With types applied, FastStream reads the payloads from the handlers' annotations.
    broker = RabbitBroker("amqp://rabbitmq:5672/", apply_types=True, routers=service.routers)
    specification = AsyncAPI(
        broker, title=f"crm-{service.name.name}", version=_VERSION, schema_version="3.0.0"
    )
    found = cast(dict[str, Any], json.loads(specification.to_specification().to_json()))
    components = found["components"]
    for holder, part in (
        (found, "channels"),
        (found, "operations"),
        (components, "messages"),
        (components, "schemas"),
    ):
        holder[part] = dict(sorted(holder[part].items()))  # FastStream keeps them in sets
    return found
