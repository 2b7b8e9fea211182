"""What messages cost where nobody ever analysed the tables: each looks up its own rows, no others.

The statements are planned while the tables are empty, and those plans are kept while they grow.
"""

from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import asyncpg
import pytest
from crm_contacts.contacts.consumers import on_message_received
from crm_contacts.timeline.consumers import on_contact_event
from crm_testing.costs import never_analyse, reads
from crm_testing.scenes.contacts import Shop, apply, delivered
from crm_testing.schemas import Databases, MigratedDatabase
from service_kit.incoming import Event
from shared_events.contacts.contact import ContactDeleted

COMPANIES, CUSTOMERS = 40, 40
BATCHES = [*[1] * 20, *[100] * 40]
"""Messages come one by one at first: what is planned then is what is cheap for one."""


@pytest.fixture
async def never_analysed(databases: Databases) -> MigratedDatabase:
    database = await databases.create()
    await never_analyse(database)
    return database


@pytest.fixture
async def admin(never_analysed: MigratedDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(never_analysed.admin_url)
    yield connection
    await connection.close()


def messages() -> Iterator[list[Event[Any]]]:
    """Batches of many companies, whose customers write again, become known and show more ids."""
    random = Random(1)
    for size in BATCHES:
        batch = []
        for _ in range(size):
            customer = random.randrange(CUSTOMERS)
            shown = [("phone", f"55119{customer:08}"), ("lid", f"9{customer:013}")]
            person = random.choice([shown, shown[:1], shown[:1], shown[1:]])
            message = Shop.message(*person, push_name=random.choice([None, f"Maria {customer}"]))
            batch.append(delivered(f"company-{random.randrange(COMPANIES)}", message))
        yield batch


class TestFreshDatabase:
    async def test_a_message_reads_a_few_rows_however_many_there_are(
        self, never_analysed: MigratedDatabase, admin: asyncpg.Connection
    ) -> None:
        async with never_analysed.connected(pool_size=1) as database:
            for batch in messages():
                await apply(database, on_message_received, batch)
                gone = [ContactDeleted(contact_id=e.body.event_id) for e in batch]
                told = [delivered(e.tenant_id, d) for e, d in zip(batch, gone, strict=True)]
                await apply(database, on_contact_event, told)
        # A connection that closes hands in what it counted.
        assert await admin.fetchval("SELECT count(*) FROM contacts.contacts") > 1000
        read = await reads(never_analysed)
        assert read.by_index < 8 * sum(BATCHES)
        assert read.by_scan < 2 * sum(BATCHES)
