"""Messages of many companies in one batch: cheap, and as if each company had been alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from crm_contacts.contacts import repository
from crm_contacts.contacts.consumers import on_message_received
from crm_contacts.contacts.repository import Known
from crm_contacts.timeline.consumers import on_contact_event
from crm_testing.costs import statements
from crm_testing.scenes.contacts import Shop, apply, delivered
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.services import Outside, eventually
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from service_kit.service import Service
from shared_events import identity
from shared_events.contacts.contact import ContactDeleted
from shared_events.identity import WhatsAppId

PHONE = ("phone", "5511988880001")
LID = ("lid", "123456789012345")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OURS, THEIRS = "ours", "theirs"

# Everything messages lead to, but for when it was written.
EVERYTHING = """
SELECT 1, tenant_id, id::text, to_jsonb(c) - '{created_at,updated_at,deleted_at}'::text[]
FROM contacts.contacts c
UNION ALL SELECT 2, tenant_id, kind || canonical, to_jsonb(i) - 'created_at'
FROM contacts.contact_identities i
UNION ALL SELECT 3, tenant_id, lpad((rank() OVER (PARTITION BY tenant_id ORDER BY seq))::text, 9),
    jsonb_build_array(event_type, aggregate_id, correlation_id, causation_id,
        payload #- '{contact,created_at}' #- '{contact,updated_at}' #- '{winner,created_at}'
            #- '{winner,updated_at}' #- '{loser,created_at}' #- '{loser,updated_at}')
FROM contacts.outbox_events
UNION ALL SELECT 4, tenant_id, id::text, to_jsonb(e) - 'created_at' FROM contacts.contact_events e
ORDER BY 1, 2, 3
"""


@pytest.fixture
async def fresh(databases: Databases) -> MigratedDatabase:
    return await databases.create()


@pytest.fixture
async def connected(fresh: MigratedDatabase) -> AsyncIterator[Database]:
    async with fresh.connected(pool_size=1) as database:
        yield database


def message(tenant_id: str, *identities: tuple[str, str], **said: Any) -> Event[Any]:
    return delivered(tenant_id, Shop.message(*identities, **said))


async def everything(database: MigratedDatabase, tenant_id: str | None = None) -> list[Any]:
    """All rows, or a company's."""
    admin = await asyncpg.connect(database.admin_url)
    rows = await admin.fetch(EVERYTHING)
    await admin.close()
    return [tuple(row) for row in rows if tenant_id in (None, row["tenant_id"])]


class TestCost:
    async def test_does_not_grow_with_the_companies(self, connected: Database) -> None:
        costs = []
        for count in (1, 2, 60):
            companies = [f"one-of-{count}-{n}" for n in range(count)]
            batches = {
                "new": [message(c, PHONE) for c in companies],
                "again": [message(c, PHONE) for c in companies],
                "linked and named": [message(c, PHONE, LID, push_name="Ana") for c in companies],
                "renamed": [message(c, ("phone", "551188880001")) for c in companies],
                "another": [message(c, ("lid", "77")) for c in companies],
            }
            cost = {
                what: await statements(connected, on_message_received, batch)
                for what, batch in batches.items()
            }
            shown = [message(c, PHONE, ("lid", "77")) for c in companies]
            merged = await statements(connected, on_message_received, shown)
            told = [delivered(c, ContactDeleted(contact_id=UUID(int=1))) for c in companies]
            cost["timeline"] = await statements(connected, on_contact_event, told)
            costs.append((cost, merged))
        _, (few, few_merged), (many, many_merged) = costs  # the driver asks for types at first
        assert (many, many_merged) == (few, few_merged)
        assert many_merged < 28
        assert max(many.values()) < 12

    async def test_is_shared_on_the_bus(
        self, service: Service, outside: Outside, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shops = [Shop(service.database, outside) for _ in range(20)]
        ids = {shop.id for shop in shops}
        most = {"contacts": 0, "contact_events": 0}
        execute = Transaction.execute

        async def heard(tx: Transaction, statement: Any, *values: Any) -> int:
            for table in most:
                if str(statement).startswith(f"INSERT INTO {table} (id, tenant_id,"):
                    most[table] = max(most[table], len(ids.intersection(values[1])))
            return await execute(tx, statement, *values)

        monkeypatch.setattr(Transaction, "execute", heard)
        await asyncio.gather(*(shop.receive(PHONE) for shop in shops))
        for shop in shops:
            await eventually(partial(shop.rows, "SELECT 1 FROM contact_events"))
        assert min(most.values()) > 1, most


def story() -> list[list[Event[Any]]]:
    """Batches of messages to eight companies, which have the same customers."""
    random, batches = Random(3), []
    people = [(LID,), (PHONE, LID), (PHONE,), (("phone", "551188880001"), LID)]
    people += [(("phone", "5511977770002"), LID), (("group", "123-456"),), (("lid", "77"),)]
    people += [(PHONE, ("lid", "77"))]
    for number in range(8):
        batch = []
        for place in range(30):
            said = {
                "push_name": random.choice([None, "Maria", "Ana"]),
                "sent_at": NOON + timedelta(hours=number, minutes=random.randrange(60)),
                "direction": random.choice(["inbound", "inbound", "outbound"]),
            }
            company = f"company-{(place + random.randrange(3)) % 8}"
            batch.append(message(company, *random.choice(people), **said))
        batches.append(batch)
    return batches


class TestResult:
    async def test_is_that_of_each_company_by_itself(
        self, databases: Databases, fresh: MigratedDatabase, connected: Database
    ) -> None:
        apart = await databases.create()
        async with apart.connected() as one_by_one:
            for batch in story():
                await apply(connected, on_message_received, batch)
                for company in sorted({event.tenant_id for event in batch}):
                    theirs = [event for event in batch if event.tenant_id == company]
                    await apply(one_by_one, on_message_received, theirs)
                for database in (connected, one_by_one):
                    async with database.tenants([f"company-{n}" for n in range(4)]) as tx:
                        await tx.execute("UPDATE contacts SET deleted_at = $1", NOON)
        rows = await everything(fresh)
        assert rows == await everything(apart)
        told = {row[3].split('"')[1] for row in rows if row[0] == 3}
        assert told == {
            "contact.created",
            "contact.identity_linked",
            "contact.merged",
            "contact.restored",
            "contact.updated",
        }

    async def test_is_a_contact_each_for_companies_that_know_one_phone(
        self, connected: Database
    ) -> None:
        companies = [f"company-{n}" for n in range(60)]
        for name in ("Maria", "Mari"):
            batch = [message(c, PHONE, push_name=f"{name} of {c}") for c in companies]
            await apply(connected, on_message_received, batch)
        async with connected.tenants(companies) as tx:
            rows = await tx.fetch("SELECT tenant_id, id, name, push_name FROM contacts")
        assert {tuple(row) for row in rows} == {
            (
                c,
                identity.contact_id(c, WhatsAppId("phone", PHONE[1])),
                f"Maria of {c}",
                f"Mari of {c}",
            )
            for c in companies
        }


class TestApart:
    @pytest.fixture
    async def their_id(self, connected: Database) -> UUID:
        """The id of a contact of the other company."""
        await apply(connected, on_message_received, [message(THEIRS, PHONE, push_name="Ana")])
        async with connected.tenant(THEIRS) as tx:
            found = await tx.fetchval("SELECT id FROM contacts")
        assert isinstance(found, UUID)
        return found

    async def test_an_id_leads_to_nobody_elses_contact(
        self, fresh: MigratedDatabase, connected: Database, their_id: UUID
    ) -> None:
        before = await everything(fresh)
        foreign = (OURS, their_id)
        async with connected.tenants([OURS, THEIRS]) as tx:
            assert await repository.find_known_for_update(tx, [foreign]) == {}
            assert await repository.find_for_update(tx, [foreign]) == {}
            assert await repository.identities_of(tx, [foreign]) == {foreign: []}
            (theirs,) = (await repository.find_for_update(tx, [(THEIRS, their_id)])).values()
            await repository.touch(tx, [Known(*foreign, name="x", push_name="x")])
            changed = {"tenant_id": OURS, "name": "x"}
            await repository.update(tx, [theirs.model_copy(update=changed)])
        assert await everything(fresh) == before

    async def test_an_identity_that_leads_to_anothers_contact_changes_nothing_of_it(
        self, fresh: MigratedDatabase, connected: Database, their_id: UUID
    ) -> None:
        async with connected.tenant(OURS) as tx:  # nothing writes such a row; foreign keys allow it
            await tx.execute(
                "INSERT INTO contact_identities (tenant_id, kind, canonical, value, contact_id)"
                " VALUES ($1, 'lid', $2, $2, $3)",
                OURS,
                LID[1],
                their_id,
            )
        before = await everything(fresh)
        for said in ({}, {"push_name": "Not Ana"}):
            batch = [message(OURS, LID, **said), message(THEIRS, PHONE)]
            with pytest.raises(asyncpg.UniqueViolationError):
                await apply(connected, on_message_received, batch)
        assert await everything(fresh) == before

    async def test_an_entry_about_anothers_contact_is_the_tellers(
        self, fresh: MigratedDatabase, connected: Database, their_id: UUID
    ) -> None:
        before = await everything(fresh, THEIRS)
        event = delivered(OURS, ContactDeleted(contact_id=their_id))
        other = delivered("third", ContactDeleted(contact_id=their_id))
        await apply(connected, on_contact_event, [event, other])
        assert await everything(fresh, THEIRS) == before
        (entry,) = await everything(fresh, OURS)
        assert entry[:3] == (4, OURS, str(event.body.event_id))
