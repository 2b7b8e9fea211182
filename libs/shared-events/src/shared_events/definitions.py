"""The bus as RabbitMQ's definitions: what a broker imports, at its boot or over its HTTP API.

Importing again changes nothing but passwords. Not in it are the queues that come and go with who
uses them (requests, replies, delays). Source: https://www.rabbitmq.com/docs/definitions
"""

import base64
import hashlib
import os
from collections.abc import Iterable
from typing import Any

from faststream.rabbit import RabbitExchange, RabbitQueue

from shared_events import topology
from shared_events.queues import Binding
from shared_events.rights import rights_of
from shared_events.services import SERVICES, ServiceName

Definitions = dict[str, list[dict[str, Any]]]


def bus(vhost: str, partitions: int = topology.PARTITIONS) -> Definitions:
    """Every exchange and queue that lasts, with its bindings."""
    owners = [service for service in SERVICES if any(topology.queues_of(service))]
    parts = [part for queue in topology.QUEUES for part, _ in queue.parts(partitions)]
    spreads = [part for part in parts if isinstance(part, RabbitExchange)]
    exchanges = [*topology.SHARED_EXCHANGES, *map(topology.returns, owners), *spreads]
    queues = [part for part in parts if isinstance(part, RabbitQueue)]
    queues += [queue.dead_letters for queue in topology.QUEUES]
    return {
        "vhosts": [{"name": vhost}],
        "exchanges": [_exchange(vhost, exchange) for exchange in exchanges],
        "queues": [_queue(vhost, queue) for queue in queues],
        "bindings": [
            {
                "vhost": vhost,
                "source": binding.source,
                "destination": destination,
                "destination_type": kind,
                "routing_key": binding.key,
                "arguments": dict(binding.arguments),
            }
            for kind, destination, binding in _bindings(partitions)
        ],
    }


def user(vhost: str, service: ServiceName, password: str) -> Definitions:
    """The user of a service with its rights; `password` leaves it as a salted hash."""
    rights = rights_of(service)
    granted = {"user": service.bus_user, "vhost": vhost}
    return {
        "users": [_user(service.bus_user, password, [])],
        "permissions": [
            {
                **granted,
                "configure": rights.configure,
                "write": rights.write,
                "read": rights.read,
            }
        ],
        "topic_permissions": [
            {**granted, "exchange": topic.exchange, "write": topic.write, "read": topic.read}
            for topic in rights.topics
        ],
    }


def administrator(vhost: str, name: str, password: str) -> Definitions:
    """A user that may do everything: a broker that imports definitions makes no default one."""
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [_user(name, password, ["administrator"])],
        "permissions": [{"user": name, "vhost": vhost, **everything}],
    }


def together(parts: Iterable[Definitions]) -> Definitions:
    """One document of several."""
    found: Definitions = {}
    for part in parts:
        for kind, entries in part.items():
            found.setdefault(kind, []).extend(entries)
    return found


def _exchange(vhost: str, exchange: RabbitExchange) -> dict[str, Any]:
    return {
        "vhost": vhost,
        "name": exchange.name,
        "type": exchange.type.value,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": dict(exchange.arguments or {}),
    }


def _queue(vhost: str, queue: RabbitQueue) -> dict[str, Any]:
    return {
        "vhost": vhost,
        "name": queue.name,
        "durable": True,
        "auto_delete": False,
        "arguments": dict(queue.arguments or {}),
    }


def _bindings(partitions: int) -> Iterable[tuple[str, str, Binding]]:
    """Kind of destination, destination, what it takes."""
    for exchange in topology.EXCHANGES:
        for source, key in exchange.sources:
            yield "exchange", exchange.name, Binding(source.name, key)
    for queue in topology.QUEUES:
        for part, sources in queue.parts(partitions):
            kind = "queue" if isinstance(part, RabbitQueue) else "exchange"
            for binding in sources:
                yield kind, part.name, binding
        letters = queue.dead_letters.name
        yield "queue", letters, Binding(queue.exchange.dead_letters.name, queue.name)


def _user(name: str, password: str, tags: list[str]) -> dict[str, Any]:
    """Salted as RabbitMQ does: https://www.rabbitmq.com/docs/passwords."""
    salt = os.urandom(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    return {
        "name": name,
        "password_hash": base64.b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }
