"""A filled database goes on as it was, and gateways of before go on working on it."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest
from crm_gateway.auth.passwords import Passwords
from crm_testing.schemas import MigratedDatabase, database_of, migrate
from crm_testing.servers import PostgresServer
from pydantic import SecretStr
from service_kit.service import Service
from shared_events.services import GATEWAY

from services.gateway.tests.integration.conftest import RunGateway, http_client, register

PASSWORD = "correct horse"
# What the gateway of the revision before asks, word for word.
ADD_USER = """
INSERT INTO users (id, tenant_id, name, email, password_hash)
VALUES ($1, $2, 'Ana', $3, $4) ON CONFLICT (email) DO NOTHING
"""
ADD_AGENT = "INSERT INTO agents (id, tenant_id, role) VALUES ($1, $2, 'admin')"
MEMBER = """
SELECT u.id AS user_id, u.tenant_id, u.name, u.email, p.name AS tenant_name,
 u.token_version, u.email_verified_at IS NOT NULL AS email_verified, a.role, a.active
 FROM users u JOIN agents a ON a.id = u.id
 JOIN projects p ON p.tenant_id = u.tenant_id WHERE u.tenant_id = $2 AND u.id = $1
"""
AGENTS = "SELECT a.id, u.email FROM agents a JOIN users u ON u.id = a.id ORDER BY a.created_at"
ADMINS = """
SELECT a.id, u.email_verified_at IS NOT NULL AS proved FROM agents a JOIN users u ON u.id = a.id
WHERE a.role = 'admin' AND a.active ORDER BY a.id FOR UPDATE
"""


@pytest.fixture
async def before(postgres_server: PostgresServer) -> MigratedDatabase:
    """A database at the revision before, with nobody in it yet."""
    database = database_of(GATEWAY, await postgres_server.create_database(GATEWAY.schema))
    await migrate(database, GATEWAY.package, "0015")
    return database


@pytest.fixture
async def filled(before: MigratedDatabase) -> list[tuple[UUID, str]]:
    """Three companies with an admin each: their ids, and the companies'."""
    hashed = await Passwords(strong=False).hash(PASSWORD)
    there = [(uuid4(), str(uuid4())) for _ in range(3)]
    async with before.connected() as database:
        for user_id, tenant_id in there:
            async with database.tenant(tenant_id) as tx:
                await tx.execute(
                    "INSERT INTO projects (id, tenant_id, name) VALUES ($1, $2, 'Loja')",
                    UUID(tenant_id),
                    tenant_id,
                )
                await tx.execute(ADD_USER, user_id, tenant_id, f"{user_id}@example.com", hashed)
                await tx.execute(ADD_AGENT, user_id, tenant_id)
    return there


@pytest.fixture
async def client(
    before: MigratedDatabase,
    filled: list[tuple[UUID, str]],
    run_gateway: RunGateway,
    gateway: Service,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway on that database, once it is migrated."""
    del filled
    await migrate(before, GATEWAY.package)
    url = SecretStr(before.url)
    async with (
        run_gateway(gateway.settings.amqp_url, database_url=url) as service,
        http_client(service) as client,
    ):
        yield client


async def log_in(client: httpx.AsyncClient, email: str) -> httpx.Response:
    return await client.post("/auth/login", json={"email": email, "password": PASSWORD})


class TestFilled:
    async def test_everybody_is_who_they_were(
        self, client: httpx.AsyncClient, filled: list[tuple[UUID, str]]
    ) -> None:
        for user_id, tenant_id in filled:
            answer = (await log_in(client, f"{user_id}@example.com")).json()
            assert (answer["user"]["id"], answer["tenant"]["id"]) == (str(user_id), tenant_id)
            bearer = {"Authorization": f"Bearer {answer['access_token']}"}
            page = (await client.get("/agents", headers=bearer)).json()
            assert [each["id"] for each in page["data"]] == [str(user_id)]
            body = {"refresh_token": answer["refresh_token"]}
            assert (await client.post("/auth/refresh", json=body)).status_code == 200


class TestRolling:
    async def test_gateways_of_before_add_and_find_people(
        self, client: httpx.AsyncClient, before: MigratedDatabase, filled: list[tuple[UUID, str]]
    ) -> None:
        (_, tenant_id), (taken, _), _ = filled
        hashed = await Passwords(strong=False).hash(PASSWORD)
        new = uuid4()
        async with before.connected() as database, database.tenant(tenant_id) as tx:
            assert not await tx.execute(
                ADD_USER, uuid4(), tenant_id, f"{taken}@example.com", hashed
            )
            assert await tx.execute(ADD_USER, new, tenant_id, f"{new}@example.com", hashed)
            await tx.execute(ADD_AGENT, new, tenant_id)
            found = await tx.fetchrow(MEMBER, new, tenant_id)
            assert found is not None
            assert found["tenant_id"] == tenant_id
        answer = (await log_in(client, f"{new}@example.com")).json()
        assert (answer["user"]["id"], answer["tenant"]["id"]) == (str(new), tenant_id)

    async def test_gateways_of_before_see_nothing_of_who_joined(
        self, client: httpx.AsyncClient, before: MigratedDatabase, filled: list[tuple[UUID, str]]
    ) -> None:
        bia, (admin, tenant_id) = await register(client), filled[0]
        answer = (await log_in(client, f"{admin}@example.com")).json()
        bearer = {"Authorization": f"Bearer {answer['access_token']}"}
        body = {"name": "Bia", "email": bia.email, "role": "admin"}
        invited = (await client.post("/agents", json=body, headers=bearer)).json()
        accept = {"invitation_token": invited["invitation_token"], "password": bia.password}
        joined = await client.post("/auth/accept-invitation", json=accept)
        assert joined.json()["tenant"]["id"] == tenant_id
        async with before.connected() as database:
            async with database.tenant(tenant_id) as tx:
                assert [row["id"] for row in await tx.fetch(AGENTS)] == [admin]
                assert [row["id"] for row in await tx.fetch(ADMINS)] == [admin]
            async with database.tenant(bia.tenant_id) as tx:
                assert [str(row["id"]) for row in await tx.fetch(AGENTS)] == [bia.user_id]
                assert await tx.fetchrow(MEMBER, UUID(bia.user_id), bia.tenant_id) is not None


class TestRights:
    async def test_a_person_is_written_by_companies_they_are_of_and_no_other(
        self, client: httpx.AsyncClient, before: MigratedDatabase, filled: list[tuple[UUID, str]]
    ) -> None:
        bia, (admin, tenant_id), (_, other) = await register(client), *filled[:2]
        tokens = (await log_in(client, f"{admin}@example.com")).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        body = {"name": "Bia", "email": bia.email, "role": "agent"}
        invited = (await client.post("/agents", json=body, headers=bearer)).json()
        rename = "UPDATE users SET language = 'en' WHERE id = $1"
        person = UUID(bia.user_id)
        async with before.connected() as database:
            for company in (tenant_id, other):  # invited is not yet there
                async with database.tenant(company) as tx:
                    assert await tx.execute(rename, person) == 0
            accept = {"invitation_token": invited["invitation_token"], "password": bia.password}
            assert (await client.post("/auth/accept-invitation", json=accept)).is_success
            async with database.tenant(tenant_id) as tx:
                assert await tx.execute(rename, person) == 1
                assert await tx.execute("DELETE FROM users WHERE id = $1", person) == 0
            async with database.tenant(other) as tx:
                assert await tx.execute(rename, person) == 0

    async def test_the_membership_scope_sees_companies_and_agents_and_nothing_else(
        self, client: httpx.AsyncClient, before: MigratedDatabase
    ) -> None:
        await register(client)
        async with before.connected() as database, database.system("membership") as tx:
            for table in ("projects", "agents"):
                assert await tx.fetchval(f"SELECT count(*) FROM {table}") == 4  # noqa: S608
            for table in ("users", "refresh_tokens", "authenticators", "audit_log"):
                assert await tx.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608
