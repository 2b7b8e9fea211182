"""Events of many companies in one batch: cheap, apart, and quick on a young table."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.costs import never_analyse, reads, statements
from crm_testing.scenes.webhooks import Tenant
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.services import eventually
from crm_webhooks.deliveries.claims import Claims
from crm_webhooks.deliveries.destinations import Destinations
from crm_webhooks.deliveries.ingest import Ingest
from crm_webhooks.deliveries.results import Results
from crm_webhooks.deliveries.sender import Sender
from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.endpoints.secrets import Vault
from crm_webhooks.settings import WebhooksSettings
from cryptography.fernet import Fernet
from pydantic import SecretStr
from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.egress import Egress
from service_kit.incoming import Incoming
from service_kit.sealing import Seal
from shared_events import examples

EVENT = "contact.created"


@pytest.fixture
async def fresh(databases: Databases) -> MigratedDatabase:
    return await databases.create()


@pytest.fixture
async def admin(fresh: MigratedDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(fresh.admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(fresh: MigratedDatabase) -> AsyncIterator[Database]:
    async with fresh.connected(pool_size=1) as database:
        yield database


@pytest.fixture
def sender(database: Database) -> Sender:
    """One that is not up: everything stays in the database."""
    settings = WebhooksSettings(
        crm_env="test",
        database_url=SecretStr(database.dsn),
        rabbitmq_url=SecretStr("amqp://nobody:x@127.0.0.1:1/"),
        encryption_key=SecretStr(Fernet.generate_key().decode()),
    )
    vault = Vault(Seal(settings.encryption_key))
    egress = Egress.by_setting(None, is_production=True)
    results = Results(database, EndpointRepository(vault), settings.retry_schedule_seconds)
    return Sender(settings, egress, Destinations(database, vault), results)


@pytest.fixture
def ingest(sender: Sender) -> Ingest:
    """The consumer of such a process."""
    return Ingest(sender, lease_seconds=60)


def event(tenant_id: str) -> Incoming[Any]:
    event_id, envelope = uuid4(), examples.load(EVENT)
    body = orjson.dumps({**envelope, "event_id": event_id, "tenant_id": tenant_id})
    return Incoming(event_id, tenant_id, body, {}, Cause(None, event_id, {}))


async def subscribed(admin: asyncpg.Connection, tenant_id: str, *wanted: str) -> UUID:
    """An endpoint of this company for these types of events."""
    found: UUID = await admin.fetchval(
        "INSERT INTO webhooks.webhook_endpoints"
        " (id, tenant_id, url, event_types, headers, enabled)"
        " VALUES (gen_random_uuid(), $1, 'https://example.com', $2, '', true) RETURNING id",
        tenant_id,
        list(wanted),
    )
    return found


class TestBatch:
    async def test_costs_the_same_for_two_companies_and_for_sixty(
        self, database: Database, ingest: Ingest, admin: asyncpg.Connection
    ) -> None:
        costs = []
        for count in (1, 2, 60):
            companies = [f"one-of-{count}-{n}" for n in range(count)]
            for company in companies:
                await subscribed(admin, company, "contact.*")
            costs.append(
                await statements(database, ingest.on_events, [event(c) for c in companies])
            )
        _, few, many = costs  # the driver asks for types, the first time
        assert few == many <= 3

    async def test_owes_each_company_what_is_its_own(
        self, database: Database, ingest: Ingest, admin: asyncpg.Connection
    ) -> None:
        ours = await subscribed(admin, "ours", "contact.*")
        theirs = await subscribed(admin, "theirs", EVENT)
        await subscribed(admin, "theirs", "message.*")
        await subscribed(admin, "silent", "*")
        sent = [event(tenant) for tenant in ("ours", "theirs", "ours", "nobody", "theirs", "ours")]
        await statements(database, ingest.on_events, sent)
        owed = await admin.fetch("SELECT * FROM webhooks.webhook_deliveries ORDER BY seq")
        assert [(row["endpoint_id"], row["event_id"]) for row in owed] == [
            ({"ours": ours, "theirs": theirs}[e.tenant_id], e.id)
            for e in sent
            if e.tenant_id != "nobody"
        ]
        kept = await admin.fetch("SELECT tenant_id, event_id FROM webhooks.webhook_events")
        whose = {e.id: e.tenant_id for e in sent}
        assert len(kept) == 5
        assert all(row["tenant_id"] == whose[row["event_id"]] for row in kept)


class TestYoungTable:
    async def test_is_not_read_from_end_to_end_for_each_result(
        self,
        new_place: Callable[[], Awaitable[Any]],
        receiver: WebhookReceiver,
    ) -> None:
        """Nobody analyses it: the plans are those of an empty table."""
        place = await new_place()
        await never_analyse(place.database)
        admin = await asyncpg.connect(place.database.admin_url)
        patient = {"webhook_timeout_seconds": 30.0, "webhook_lease_seconds": 120.0}
        async with place.running(**patient), place.asking() as make:
            tenants: list[Tenant] = [make() for _ in range(20)]
            for tenant in tenants:
                await tenant.endpoint(receiver.url)
            for tenant in tenants:  # one after the other at first: what is cheap for one is planned
                await tenant.contact_created()
            await receiver.wait_for_count(len(tenants))
            await asyncio.gather(*(tenant.contact_created(count=100) for tenant in tenants))
            await receiver.wait_for_count(101 * len(tenants))

            async def written() -> bool:
                done = "SELECT count(*) FROM webhooks.webhook_deliveries WHERE status = 'delivered'"
                return bool(await admin.fetchval(done) == 101 * len(tenants))

            await eventually(written)
        await admin.close()
        read, deliveries = await reads(place.database), 101 * len(tenants)
        # Read from all that is owed they were 60 each; what waits for its turn is looked at again.
        assert read.by_index < 40 * deliveries
        assert read.by_scan < 10 * deliveries
        assert Counter(r.id for r in receiver.requests).most_common(1)[0][1] == 1


class TestClaims:
    async def test_are_planned_once_and_before_anything_waits(
        self, database: Database, sender: Sender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Planned with each set of values, the first claims of a process are its slowest."""
        connections: list[asyncpg.Connection] = []
        begun, dedicated = asyncio.Event(), database.dedicated

        async def seen(purpose: str) -> asyncpg.Connection:
            connections.append(await dedicated(purpose))
            return connections[-1]

        monkeypatch.setattr(database, "dedicated", seen)
        monkeypatch.setattr(sender, "forget_all", begun.set)
        claiming = asyncio.create_task(Claims(database, sender, lease_seconds=60).run())
        async with asyncio.timeout(60):
            await begun.wait()
        plans = await connections[0].fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
            " WHERE statement LIKE $1",
            "%claimed AS (%",
        )
        assert [tuple(plan) for plan in plans] == [(1, 0)]
        claiming.cancel()
        await asyncio.gather(claiming, return_exceptions=True)

    async def test_look_at_no_endpoint_that_is_owed_nothing(
        self, new_place: Callable[[], Awaitable[Any]], receiver: WebhookReceiver
    ) -> None:
        place, many = await new_place(), 3000
        admin = await asyncpg.connect(place.database.admin_url)
        await admin.execute(
            "INSERT INTO webhooks.webhook_endpoints"
            " (id, tenant_id, url, event_types, headers, enabled)"
            " SELECT gen_random_uuid(), 'idle-' || n, 'https://example.com', '{*}', '', true"
            " FROM generate_series(1, $1) AS n",
            many,
        )
        await admin.close()
        receiver.answer(*[Answer(500)] * 3)
        async with place.running(), place.asking() as make:
            tenant: Tenant = make()
            endpoint = await tenant.endpoint(receiver.url)
            await tenant.contact_created()
            delivery = await tenant.settled(endpoint)
        assert len(delivery["attempt_log"]) == 4, "each but the first came by a claim"
        read = await reads(place.database)
        assert read.by_scan + read.by_index < 2 * many, "retention looks at them once as it starts"
