"""An import in a process that is killed: the next goes on with it, and each row counts once."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.files import begin, ended
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.servers import RabbitServer
from crm_testing.services import Outside, declare_told, eventually
from shared_events.contacts.contact_import import DriveImport, GetImport
from shared_events.services import CONTACTS

ROWS = 3000
PATIENCE_SECONDS = 180.0
"""A process takes its time to begin, and its jobs are looked after 15 s later."""


def file() -> str:
    people = (f"Pessoa {n},+55119{n:08},p{n}@example.com,import\n" for n in range(ROWS))
    wrong = "Ninguém,123,,\n"
    return "nome,telefone,email,tags\n" + "".join(people) + wrong


@asynccontextmanager
async def process_of(
    database: MigratedDatabase, amqp_url: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service as an operator runs it; at the end it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from crm_contacts.app import main; main()",
        "run",
        env={
            **os.environ,
            "CRM_ENV": "test",
            "SERVER_HOST": "127.0.0.1",
            "SERVER_PORT": "0",
            "LOG_LEVEL": "info",
            "DATABASE_URL": database.url,
            "RABBITMQ_URL": amqp_url,
        },
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def done(company: Shop) -> int:
    (job,) = await company.rows("SELECT done FROM jobs")
    found: int = job["done"]
    return found


async def further(company: Shop, than: int) -> None:
    """Wait until more rows are done, and not yet all."""

    async def goes_on() -> bool:
        return await done(company) > than

    await eventually(goes_on, seconds=PATIENCE_SECONDS)
    assert await done(company) < ROWS


class TestKills:
    async def test_in_the_middle_lose_and_double_no_row_of_two_companies(
        self, databases: Databases, rabbitmq_server: RabbitServer
    ) -> None:
        place = await databases.create()
        amqp_url = await rabbitmq_server.create_vhost("killed")
        await declare_told(CONTACTS, amqp_url)
        async with place.connected() as database, Outside(amqp_url) as outside:
            companies = [Shop(database, outside), Shop(database, outside)]
            async with process_of(place, amqp_url):
                await outside.answered(GetImport(import_id=UUID(int=1)))
                ids = [await begin(company, file()) for company in companies]
                for company in companies:
                    await further(company, 0)
            before = [await done(company) for company in companies]
            async with process_of(place, amqp_url):
                for company, than in zip(companies, before, strict=True):
                    await further(company, than)
                await outside.answered(GetImport(import_id=UUID(int=1)))
                held = await companies[0].value(DriveImport(import_id=ids[0], action="pause"))
            assert 0 < held["done"] < ROWS
            async with process_of(place, amqp_url), process_of(place, amqp_url):
                await outside.answered(GetImport(import_id=UUID(int=1)))
                await companies[0].value(DriveImport(import_id=ids[0], action="resume"))
                for company, import_id in zip(companies, ids, strict=True):
                    await self.has_each_row_once(company, import_id)

    @staticmethod
    async def has_each_row_once(company: Shop, import_id: UUID) -> None:
        job: dict[str, Any] = await ended(
            company, GetImport(import_id=import_id), seconds=PATIENCE_SECONDS
        )
        assert (job["state"], job["done"], job["created"], job["errors"]) == (
            *("completed", ROWS + 1, ROWS),
            1,
        )
        phones = {f"+55119{n:08}" for n in range(ROWS)}
        contacts = await company.rows("SELECT id, phone FROM contacts")
        assert len(contacts) == ROWS and {one["phone"] for one in contacts} == phones
        (identities,) = await company.rows("SELECT count(*) AS n FROM contact_identities")
        assert identities["n"] == ROWS
        told = [row["aggregate_id"] for row in await company.outbox("contact.created")]
        assert len(told) == ROWS and set(told) == {one["id"] for one in contacts}
        parts = await company.rows("SELECT file FROM job_parts")
        assert [part["file"] for part in parts] == ["errors"]
