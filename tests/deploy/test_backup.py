"""The tools of backups, with every service's schema at once."""

from pathlib import Path

import asyncpg
import pytest
from crm_testing.commands import backup
from crm_testing.schemas import database_of, migrate
from crm_testing.servers import PostgresServer
from shared_events.services import CHANNELS, SERVICES

SCHEMAS = {service.schema for service in SERVICES}
_TABLES = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = ANY($1)"


async def database(server: PostgresServer, name: str) -> str:
    """The administrator's address of a database in which every service has migrated."""
    url = await server.create_database(name)
    for service in SERVICES:
        await migrate(database_of(service, url), service.package)
    return url


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        return {row[0] for row in await connection.fetch(_TABLES, SCHEMAS)}
    finally:
        await connection.close()


async def run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.timeout(600)
async def test_all_of_a_backup_takes_the_place_of_what_is_there_or_nothing(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    lost = await database(postgres_server, "lost")
    there = await database(postgres_server, "there")
    said = await backup("dump", tmp_path, lost)
    assert said.code == 0, said.err
    assert set(said.out.split()) == SCHEMAS
    assert said.out.split()[-1] == CHANNELS.schema  # who sends is backed up last

    known = await tables(there)
    for schema in SCHEMAS:  # as newer code would have made
        await run(there, f"CREATE TABLE {schema}.newer (id uuid PRIMARY KEY)")
    newer = await tables(there)
    whole = (tmp_path / "contacts.dump").read_bytes()
    (tmp_path / "contacts.dump").write_bytes(whole[:-1])
    said = await backup("restore", tmp_path, there, "contacts")
    assert said.code != 0
    assert await tables(there) == newer

    (tmp_path / "contacts.dump").write_bytes(whole)
    said = await backup("restore", tmp_path, there)
    assert said.code == 0, said.err
    assert said.out == (tmp_path / "begun").read_text()
    assert await tables(there) == known == await tables(lost)
