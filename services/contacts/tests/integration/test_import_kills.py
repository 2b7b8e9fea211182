"""An import in a process that is killed: the next goes on with it, and each row counts once."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from crm_contacts.imports.job import KIND, UPLOAD
from crm_contacts.imports.requests import told
from crm_contacts.jobs import progress, repository
from crm_testing.processes import process_of
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.files import ENDED
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.servers import RabbitServer
from crm_testing.services import Outside, declare_told, eventually
from service_kit.calls import Call
from shared_events.requests import Principal
from shared_events.services import CONTACTS

ROWS = 1000
PATIENCE_SECONDS = 180.0
"""A process takes its time to begin, and finds jobs that stand still 15 s later."""
FILE = "nome,telefone,email,tags\n" + "".join(
    f"Pessoa {n},+55119{n:08},p{n}@example.com,import\n" for n in range(ROWS)
)


async def put_by(company: Shop) -> UUID:
    """An import for whoever works on jobs."""
    import_id, options = uuid4(), {"upsert_key": "phone", "mapping": None, "dry_run": False}
    call = Call(Principal(tenant_id=company.id), "req-import")
    content = f"{FILE}Ninguém,123,,\n".encode()
    async with company.database.tenant(company.id) as tx:
        part = repository.part(tx, import_id, UPLOAD, 0, content, timedelta(days=1))
        await repository.put(tx, [part])
        await progress.begin(tx, import_id, KIND, {**options, "filename": "people.csv"}, call, told)
    return import_id


def working(
    place: MigratedDatabase, amqp_url: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """A process of the service."""
    return process_of(CONTACTS, DATABASE_URL=place.url, RABBITMQ_URL=amqp_url)


async def done(companies: Sequence[Shop]) -> int:
    """Rows that are done, of all companies."""
    found = [await company.rows("SELECT done FROM jobs") for company in companies]
    return sum(job["done"] for (job,) in found)


async def killed_once_done(
    place: MigratedDatabase, amqp_url: str, companies: Sequence[Shop], rows: int
) -> int:
    """Have a process work, and kill it in the middle: once so many rows are done."""

    async def are_done() -> bool:
        return await done(companies) >= rows

    async with working(place, amqp_url):
        await eventually(are_done, seconds=PATIENCE_SECONDS)
    return await done(companies)


class TestKills:
    @pytest.mark.timeout(900)  # three processes begin, one after the other
    async def test_in_the_middle_lose_and_double_no_row_of_two_companies(
        self, databases: Databases, rabbitmq_server: RabbitServer
    ) -> None:
        place = await databases.create()
        amqp_url = await rabbitmq_server.create_vhost("killed")
        await declare_told(CONTACTS, amqp_url)
        async with place.connected() as database:
            companies = [Shop(database, Outside(amqp_url)) for _ in range(2)]
            ids = [await put_by(company) for company in companies]
            first = await killed_once_done(place, amqp_url, companies, rows=1)
            second = await killed_once_done(place, amqp_url, companies, rows=first + ROWS // 2)
            assert 0 < first < second < 2 * ROWS
            async with working(place, amqp_url), working(place, amqp_url):
                for company, import_id in zip(companies, ids, strict=True):
                    await self.has_each_row_once(company, import_id)

    @staticmethod
    async def has_each_row_once(company: Shop, import_id: UUID) -> None:
        async def ended() -> bool:
            (job,) = await company.rows("SELECT state FROM jobs")
            return job["state"] in ENDED

        await eventually(ended, seconds=PATIENCE_SECONDS)
        (row,) = await company.rows("SELECT * FROM jobs WHERE id = $1", import_id)
        assert (row["state"], row["done"], row["errors"]) == ("completed", ROWS + 1, 1)
        assert row["counts"] == {"created": ROWS, "updated": 0, "unchanged": 0}
        phones = {f"+55119{n:08}" for n in range(ROWS)}
        contacts = await company.rows("SELECT id, phone FROM contacts")
        assert len(contacts) == ROWS and {one["phone"] for one in contacts} == phones
        (identities,) = await company.rows("SELECT count(*) AS n FROM contact_identities")
        assert identities["n"] == ROWS
        created = [row["aggregate_id"] for row in await company.outbox("contact.created")]
        assert len(created) == ROWS and set(created) == {one["id"] for one in contacts}
        parts = await company.rows("SELECT file FROM job_parts")
        assert [part["file"] for part in parts] == ["errors"]
