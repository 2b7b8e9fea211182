"""Who did what, when and from where: of two companies, by people and by keys."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_testing.services import SIGNATURES, answering
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import DeadlineError, NotFoundError
from service_kit.request_server import RequestServer
from service_kit.service import Service
from shared_events.requests import Nothing
from shared_events.services import WEBHOOKS
from shared_events.webhooks.endpoint import (
    CreateEndpoint,
    DeleteEndpoint,
    PatchEndpoint,
    WebhookEndpoint,
)

from services.gateway.tests.integration.conftest import Account, register, until

SECRETS = ("whsec_hidden", "correct horse", "inner-token")


async def create(tx: Transaction, request: CreateEndpoint, call: Call) -> WebhookEndpoint:
    now = datetime.now(UTC)
    return WebhookEndpoint(
        id=uuid4(),
        url=str(request.url),
        event_types=request.event_types,
        headers=request.headers,
        enabled=True,
        secret="whsec_hidden",
        version=1,
        created_at=now,
        updated_at=now,
    )


async def delete(tx: Transaction, request: DeleteEndpoint, call: Call) -> Nothing:
    raise NotFoundError("endpoint")


async def patch(tx: Transaction, request: PatchEndpoint, call: Call) -> WebhookEndpoint:
    raise DeadlineError("answer_lost", "Nobody knows.")


@pytest.fixture(scope="module", autouse=True)
async def webhooks(gateway: Service, client: httpx.AsyncClient) -> AsyncIterator[None]:
    """The webhooks service, as far as it is asked."""
    server = RequestServer(WEBHOOKS, gateway.database, SIGNATURES)
    server.answer(CreateEndpoint, create)
    server.answer(DeleteEndpoint, delete)
    server.answer(PatchEndpoint, patch)
    async with answering(server, gateway.settings.amqp_url):
        account = await register(client)

        async def answers() -> bool:
            path = f"/webhook-endpoints/{uuid4()}"
            return (await client.delete(path, headers=account.bearer)).status_code == 404

        await until(answers)
        yield


async def entries(
    client: httpx.AsyncClient, account: Account, **query: str
) -> list[dict[str, Any]]:
    """The log of a company, newest first."""
    response = await client.get("/audit-log", params=query, headers=account.bearer)
    assert response.status_code == 200, response.text
    assert not [secret for secret in SECRETS if secret in response.text]
    found: list[dict[str, Any]] = response.json()["data"]
    return found


class TestAuditLog:
    async def test_names_people_and_keys_and_what_they_changed(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        stranger = await register(client)
        made = {"name": "Bia", "email": f"{uuid4()}@example.com", "role": "agent"}
        bia = await client.post(
            "/agents",
            json={**made, "password": "correct horse"},
            headers={**account.bearer, "X-Request-Id": "r" * 128},
        )
        key = (
            await client.post("/api-keys", json={"name": "k" * 255}, headers=account.bearer)
        ).json()
        by_key = {"X-Api-Key": key["key"]}
        path = f"/agents/{bia.json()['id']}"
        for _ in range(2):  # the second changes nothing
            await client.put(path, json={"role": "supervisor"}, headers=by_key)
        await client.put(path, json={"role": "admin"}, headers={**by_key, "If-Match": '"9"'})
        await client.post(f"/api-keys/{key['id']}/rotate", headers=account.bearer)
        await client.delete(f"/api-keys/{key['id']}", headers=account.bearer)
        log = await entries(client, account)
        assert [entry["action"] for entry in log] == [
            "api_key.delete",
            "api_key.rotate",
            "agent.update",
            "api_key.create",
            "agent.create",
        ]
        ana = {"type": "agent", "id": account.user_id, "name": "Ana"}
        assert [entry["actor"] for entry in log] == [
            ana,
            ana,
            {"type": "api_key", "id": key["id"], "name": "k" * 255},
            ana,
            ana,
        ]
        changed, added = log[2], log[4]
        assert (changed["before"]["role"], changed["after"]["role"]) == ("agent", "supervisor")
        assert (added["before"], added["after"]["email"]) == (None, made["email"])
        assert added["request_id"] == "r" * 128
        assert added["target"] == {"type": "agent", "id": bia.json()["id"]}
        assert {entry["outcome"] for entry in log} == {"done"}
        assert {entry["address"][:9] for entry in log} == {"2001:db8:"}
        assert key["key"] not in str(log)
        assert await entries(client, stranger) == []

        walked: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            query = {"limit": "2", **cursor}
            page = (await client.get("/audit-log", params=query, headers=account.bearer)).json()
            walked += page["data"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert walked == log
        assert await entries(client, account, actor_id=key["id"]) == [changed]
        assert await entries(client, account, action="agent.create") == [added]
        assert await entries(client, account, target_id=bia.json()["id"]) == [changed, added]
        when = changed["created_at"]
        later, before = {"created_at[gte]": when}, {"created_at[lt]": when}
        assert await entries(client, account, **later) == log[:3]
        assert await entries(client, account, **before) == log[3:]

    async def test_holds_what_other_services_were_asked_to_do(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        body = {
            "url": "https://example.com/hook",
            "headers": {"Authorization": "inner-token"},
        }
        once = {**account.bearer, "Idempotency-Key": "once"}
        for _ in range(2):
            made = await client.post("/webhook-endpoints", json=body, headers=once)
            assert made.status_code == 201
        path = f"/webhook-endpoints/{uuid4()}"
        assert (await client.delete(path, headers=account.bearer)).status_code == 404
        assert (await client.post("/channels", json={}, headers=account.bearer)).status_code == 422
        absent = await client.delete(f"/channels/{uuid4()}", headers=account.bearer)
        assert absent.status_code == 503
        lost = await client.patch(path, json={"enabled": True}, headers=account.bearer)
        assert lost.status_code == 504
        unknown, done = await entries(client, account)
        assert (done["action"], done["outcome"]) == ("endpoint.create", "done")
        assert done["target"] == {"type": "endpoint", "id": made.json()["id"]}
        assert done["after"]["url"] == "https://example.com/hook"
        assert not {"secret", "headers"} & done["after"].keys()
        assert (unknown["action"], unknown["outcome"]) == ("endpoint.patch", "unknown")
        assert unknown["target"]["id"] == path.rpartition("/")[2]

    async def test_holds_what_people_do_to_their_own_logins(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        body = {"current_password": account.password, "new_password": "another horse"}
        tokens = (await client.post("/auth/password", json=body, headers=account.bearer)).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        await client.post("/auth/logout-everywhere", headers=bearer)
        login = {"email": account.email, "password": "another horse"}
        again = (await client.post("/auth/login", json=login)).json()
        log = await entries(client, Account(account.email, "", again))
        expected = ["agent.logout_everywhere", "agent.change_password"]
        assert [entry["action"] for entry in log] == expected
