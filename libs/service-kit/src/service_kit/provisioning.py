"""The bus as `crm-<service> migrate` leaves it: complete, and with the service's user in it.

RABBITMQ_ADMIN_URL is RabbitMQ's HTTP API with an administrator's login. Without it somebody else
makes users and queues, as `shared_events.definitions` describes them (docs/operations.md).
"""

import asyncio
import os
from urllib.parse import unquote, urlsplit

from aiohttp import ClientSession, ClientTimeout
from shared_events import definitions
from shared_events.services import ServiceName

from service_kit.settings import ConfigurationError, ServiceSettings

_SECONDS = 60.0


def run_provision(settings: ServiceSettings, service: ServiceName) -> None:
    """The bus's half of the `migrate` subcommand; nothing without RABBITMQ_ADMIN_URL."""
    if admin_url := os.environ.get("RABBITMQ_ADMIN_URL"):
        asyncio.run(provision(admin_url, settings, service))


async def provision(admin_url: str, settings: ServiceSettings, service: ServiceName) -> None:
    """Make the whole bus and this service's user, with its rights; again changes nothing.

    The user comes last: who logs in finds every queue that its events must reach. Raises
    ConfigurationError for a user that is not the service's, aiohttp.ClientError when it failed.
    """
    login = urlsplit(settings.amqp_url)
    if login.username != service.bus_user or login.password is None:
        raise ConfigurationError([f"RabbitMQ's user must be {service.bus_user}, with a password"])
    vhost = unquote(login.path[1:]) or "/"
    async with ClientSession(timeout=ClientTimeout(_SECONDS), raise_for_status=True) as http:
        for wanted in (
            definitions.bus(vhost, settings.bus_partitions),
            definitions.user(vhost, service, unquote(login.password)),
        ):
            # RabbitMQ merges definitions into what is there.
            async with http.post(f"{admin_url.rstrip('/')}/api/definitions", json=wanted):
                pass
