"""`keys rotate --passwords`: database and broker are given the passwords of these settings.

A user has one password, so nobody may log in by the old one from then on; who is connected stays.
The service is restarted right after it, one process after the other.
"""

import aio_pika
import asyncpg
from shared_events.services import ServiceName

from service_kit import provisioning, roles
from service_kit.environment import administrator
from service_kit.operating.command import Report, report
from service_kit.settings import ConfigurationError, ServiceSettings


async def turn(settings: ServiceSettings, service: ServiceName) -> Report:
    """A line for each user that got its password and was let in by it.

    Raises ConfigurationError when no administrator is named, and what the servers raise.
    """
    database = administrator("DATABASE_ADMIN_URL")
    broker = administrator("RABBITMQ_ADMIN_URL")
    if not database and not broker:
        raise ConfigurationError(["set DATABASE_ADMIN_URL or RABBITMQ_ADMIN_URL, or both"])
    turned = []
    if database:
        await roles.set_password(database, settings)
        await (await asyncpg.connect(settings.postgres_dsn)).close()
        turned.append({"what": "password of the database", "user": roles.login(settings)[0]})
    if broker:
        await provisioning.provision_user(broker, settings, service)
        await (await aio_pika.connect(settings.amqp_url)).close()
        turned.append({"what": "password of the broker", "user": service.bus_user})
    return report(turned)
