"""Figure 3: how fast the relay drains an outbox into the real topology.

Runs with the services stopped, on a database of its own, so that it measures the relay and not
what consumes behind it.
"""

import os
import time
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from crm_dev.state import StackState
from pydantic import SecretStr
from service_kit import migrations
from service_kit.bus import Publisher
from service_kit.database import Database
from service_kit.relay import Relay
from service_kit.settings import ServiceSettings
from shared_events import examples
from shared_events.messaging.session import SessionAssigned

from bench.figures import Figure

EVENTS = 20_000
AGGREGATES = 500
_TENANT = str(UUID(int=1))


async def throughput(state: StackState) -> list[Figure]:
    """Fill an outbox with EVENTS events and publish them all, confirmed and in order."""
    admin = urlsplit(state.addresses.database_url)
    server = admin.netloc.rpartition("@")[2]
    dsn = urlunsplit(admin._replace(netloc=f"crm_bench:bench@{server}", path="/crm_bench"))
    os.environ["DATABASE_ADMIN_URL"] = urlunsplit(admin._replace(path="/postgres"))
    settings = ServiceSettings(crm_env="development", database_url=SecretStr(dsn))
    await migrations.migrate(settings, package="crm_contacts", schema="contacts")
    event = SessionAssigned.model_validate(examples.load("session.assigned")["data"])
    database, publisher = Database(dsn, "contacts"), Publisher(state.addresses.amqp_url)
    await database.connect()
    await publisher.connect()
    try:
        for start in range(0, EVENTS, 1000):
            async with database.tenant(_TENANT) as tx:
                for number in range(start, start + 1000):
                    tx.outbox.add(event, UUID(int=number % AGGREGATES))
        begun = time.perf_counter()
        async with Relay(database, publisher).standby() as drain:
            published = await drain()
        seconds = time.perf_counter() - begun
    finally:
        await publisher.close()
        await database.close()
    rate = (published or 0) / seconds
    what = f"{EVENTS} events of {AGGREGATES} aggregates, to 2 queues each"
    return [("3 relay", f"{rate:6.0f} events/s   ({what})")]
