"""The bus as `crm-<service> migrate` leaves it: complete, and with the service's user in it.

RABBITMQ_ADMIN_URL is RabbitMQ's HTTP API with an administrator's login. Without it somebody else
makes users and queues, as `shared_events.definitions` describes them (docs/operations.md).
"""

import asyncio
from urllib.parse import unquote, urlsplit

from aiohttp import ClientSession, ClientTimeout
from shared_events import definitions
from shared_events.services import ServiceName

from service_kit.environment import administrator
from service_kit.settings import ConfigurationError, ServiceSettings

_SECONDS = 60.0


def run_provision(settings: ServiceSettings, service: ServiceName) -> None:
    """The bus's half of the `migrate` subcommand; nothing without RABBITMQ_ADMIN_URL."""
    if admin_url := administrator("RABBITMQ_ADMIN_URL"):
        asyncio.run(provision(admin_url, settings, service))


async def provision(admin_url: str, settings: ServiceSettings, service: ServiceName) -> None:
    """Make the whole bus and this service's user, with its rights; again changes nothing.

    The user comes last: who logs in finds every queue that its events must reach. Raises
    ConfigurationError for a user that is not the service's, aiohttp.ClientError when it failed.
    """
    vhost, user = _user(settings, service)
    await _define(admin_url, definitions.bus(vhost, settings.bus_partitions), user)


async def provision_user(admin_url: str, settings: ServiceSettings, service: ServiceName) -> None:
    """Make this service's user alone, or give it the password of the settings; raises as above.

    Who is connected stays connected.
    """
    _, user = _user(settings, service)
    await _define(admin_url, user)


def _user(settings: ServiceSettings, service: ServiceName) -> tuple[str, definitions.Definitions]:
    login = urlsplit(settings.amqp_url)
    if login.username != service.bus_user or login.password is None:
        raise ConfigurationError([f"RabbitMQ's user must be {service.bus_user}, with a password"])
    vhost = unquote(login.path[1:]) or "/"
    return vhost, definitions.user(vhost, service, unquote(login.password))


async def _define(admin_url: str, *wanted: definitions.Definitions) -> None:
    async with ClientSession(timeout=ClientTimeout(_SECONDS), raise_for_status=True) as http:
        for each in wanted:
            # RabbitMQ merges definitions into what is there.
            async with http.post(f"{admin_url.rstrip('/')}/api/definitions", json=each):
                pass
