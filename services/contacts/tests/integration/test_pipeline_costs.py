"""What moving contacts costs: statements, and rows read where nobody analysed the tables."""

from datetime import timedelta
from uuid import UUID

import asyncpg
from crm_contacts.board import requests
from crm_contacts.contacts.requests import ContactRequests
from crm_contacts.pipelines import requests as pipelines
from crm_testing.costs import counting, never_analyse
from crm_testing.schemas import Databases
from service_kit.calls import Call
from service_kit.database import Database
from shared_events.contacts.contact import CreateContact
from shared_events.contacts.pipeline import (
    CreatePipeline,
    CreateStatus,
    DeleteStatus,
    ListPipelines,
    MoveContact,
)
from shared_events.requests import Principal

CONTACTS = 150
SCANNED = """
SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables
WHERE relname IN ('pipelines', 'pipeline_statuses', 'contact_pipeline_statuses')
"""


def call(tenant_id: str) -> Call:
    return Call(Principal(tenant_id=tenant_id), "req-cost")


class TestFreshDatabase:
    async def test_rows_are_looked_up_one_by_one_and_deletions_take_few_statements(
        self, databases: Databases
    ) -> None:
        made = await databases.create()
        await never_analyse(made)
        async with made.connected(pool_size=1) as database:
            for tenant_id in ("company-1", "company-2"):
                await self.fill(database, tenant_id)
            assert await self.delete_a_status(database, "company-1") < 20
        admin = await asyncpg.connect(made.admin_url)
        scanned = await admin.fetchval(SCANNED)
        await admin.close()
        assert scanned == 0

    async def fill(self, database: Database, tenant_id: str) -> None:
        """A company's contacts come into a pipeline one by one, and each is moved twice."""
        asks = call(tenant_id)
        async with database.tenant(tenant_id) as tx:
            pipeline_id = (await pipelines.create(tx, CreatePipeline(name="a"), asks)).id
            statuses: list[UUID] = []
            for name in ("a", "b"):
                new = CreateStatus(pipeline_id=pipeline_id, name=name)
                statuses.append((await pipelines.create_status(tx, new, asks)).id)
        for _ in range(CONTACTS):
            async with database.tenant(tenant_id) as tx:
                new_one = CreateContact(name="x", pipeline_status_id=statuses[0])
                contact = await ContactRequests("BR", timedelta(days=30)).create(tx, new_one, asks)
                for status_id in (statuses[1], statuses[0]):
                    there = MoveContact(
                        contact_id=contact.id, pipeline_id=pipeline_id, status_id=status_id
                    )
                    await requests.move(tx, there, asks)

    async def delete_a_status(self, database: Database, tenant_id: str) -> int:
        """How many statements it takes to send all contacts of a status elsewhere."""
        asks = call(tenant_id)
        async with database.tenant(tenant_id) as tx:
            (pipeline,) = (await pipelines.list_pipelines(tx, ListPipelines(), asks)).data
            gone, kept = pipeline.statuses
            with counting(tx) as asked:
                request = DeleteStatus(pipeline_id=pipeline.id, status_id=gone.id, move_to=kept.id)
                await requests.delete_status(tx, request, asks)
                await tx.write_events()
        return len(asked)
