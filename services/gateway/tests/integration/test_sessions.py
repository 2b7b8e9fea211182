"""What ends a login ends it at once, in every gateway."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_gateway.access import standings
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    RunGateway,
    http_client,
    register,
    until,
)

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
async def replica(gateway: Service, run_gateway: RunGateway) -> AsyncIterator[httpx.AsyncClient]:
    """Another gateway on the same database."""
    async with run_gateway(gateway.settings.amqp_url) as service, http_client(service) as client:
        yield client


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def colleague(client: httpx.AsyncClient, account: Account, role: str) -> dict[str, Any]:
    """A person of the company who has logged in: the agent, and the tokens."""
    email = f"bia-{uuid4().hex}@example.com"
    body = {"name": "Bia", "email": email, "role": role, "password": PASSWORD}
    agent = (await client.post("/agents", json=body, headers=account.bearer)).json()
    login = {"email": email, "password": PASSWORD}
    return {**agent, **(await client.post("/auth/login", json=login)).json()}


async def code(client: httpx.AsyncClient, who: dict[str, Any], path: str = "/auth/me") -> Any:
    response = await client.get(path, headers=bearer(who))
    return response.status_code if response.is_success else response.json()["code"]


async def refresh(client: httpx.AsyncClient, tokens: dict[str, Any]) -> httpx.Response:
    body = {"refresh_token": tokens["refresh_token"]}
    return await client.post("/auth/refresh", json=body)


async def at_once(
    client: httpx.AsyncClient,
    replica: httpx.AsyncClient,
    who: dict[str, Any],
    expected: Any,
    path: str = "/auth/me",
) -> None:
    """Here with the answer already, at the other gateway long before it would look by itself."""
    assert await code(client, who, path) == expected

    async def heard() -> bool:
        return bool(await code(replica, who, path) == expected)

    await until(heard, seconds=standings.REMEMBERED_SECONDS * 0.8)


class TestAgents:
    async def test_another_role_and_none_act_at_once(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await colleague(client, account, "supervisor")
        assert await code(client, bia, "/agents") == await code(replica, bia, "/agents") == 200
        path = f"/agents/{bia['id']}"
        await client.put(path, json={"role": "agent"}, headers=account.bearer)
        await at_once(client, replica, bia, "permission_missing", "/agents")
        me = (await client.get("/auth/me", headers=bearer(bia))).json()
        assert me["roles"] == ["agent"]
        await client.put(path, json={"active": False}, headers=account.bearer)
        await at_once(client, replica, bia, "token_revoked")
        await client.put(path, json={"active": True}, headers=account.bearer)
        assert await code(client, bia) == "token_revoked"  # what was ended stays ended
        assert (await refresh(client, bia)).status_code == 401
        assert await code(replica, account.body) == 200

    async def test_of_two_admins_who_demote_each_other_one_stays(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await colleague(client, account, "admin")
        for change in ({"role": "agent"}, {"active": False}):
            answers = await asyncio.gather(
                client.put(f"/agents/{bia['id']}", json=change, headers=account.bearer),
                client.put(f"/agents/{account.user_id}", json=change, headers=bearer(bia)),
            )
            # Refused as the last one, or for being no admin any more by the time it asked.
            done, refused = sorted(answer.status_code for answer in answers)
            assert (done, refused in {401, 403, 409}) == (200, True)
            who, stays = (account.body, bia) if answers[1].is_success else (bia, account.body)
            restore = {"role": "admin", "active": True}
            gone = f"/agents/{who['user']['id']}"
            await client.put(gone, json=restore, headers=bearer(stays))

    async def test_a_key_makes_nobody_of_more_power_than_its_own(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        scopes = {"name": "hr", "scopes": ["agents.manage", "contacts.*"]}
        key = (await client.post("/api-keys", json=scopes, headers=account.bearer)).json()["key"]
        body = {"name": "Eva", "email": f"{uuid4()}@example.com", "role": "admin"}
        by = {"X-Api-Key": key}
        made = await client.post("/agents", json=body, headers=by)
        bia = await colleague(client, account, "supervisor")
        unmade = await client.put(f"/agents/{bia['id']}", json={"active": False}, headers=by)
        for refused in (made, unmade):
            assert (refused.status_code, refused.json()["code"]) == (403, "role_exceeds_caller")


class TestLogoutEverywhere:
    async def test_ends_all_logins_and_nobody_elses(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await colleague(client, account, "agent")
        login = {"email": bia["email"], "password": PASSWORD}
        other = (await replica.post("/auth/login", json=login)).json()
        assert await code(replica, other) == await code(replica, bia) == 200
        # Refreshed while it ends: whichever comes first, nothing is left.
        ended, late = await asyncio.gather(
            client.post("/auth/logout-everywhere", headers=bearer(bia)), refresh(replica, other)
        )
        assert ended.status_code == 204
        for tokens in (bia, other, late.json() if late.is_success else other):
            await at_once(client, replica, tokens, "token_revoked")
            assert (await refresh(client, tokens)).status_code == 401
        assert await code(client, account.body) == 200
        again = (await client.post("/auth/login", json=login)).json()
        assert await code(replica, again) == 200


class TestPassword:
    async def test_changes_for_who_knows_it_and_ends_the_other_logins(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account
    ) -> None:
        stranger = await register(client)
        other = {"email": account.email, "password": PASSWORD}
        elsewhere = (await replica.post("/auth/login", json=other)).json()
        body = {"current_password": PASSWORD, "new_password": "ç" * 128}
        wrong = {**body, "current_password": "correct horse "}
        refused = await client.post("/auth/password", json=wrong, headers=account.bearer)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/current_password"
        assert await code(replica, elsewhere) == 200
        answers = await asyncio.gather(
            *(client.post("/auth/password", json=body, headers=account.bearer) for _ in range(3))
        )
        (changed,) = [answer for answer in answers if answer.is_success]
        assert {answer.status_code for answer in answers} <= {200, 401, 409, 422}
        await at_once(client, replica, elsewhere, "token_revoked")
        assert await code(client, account.body) == "token_revoked"
        assert await code(replica, changed.json()) == await code(replica, stranger.body) == 200
        assert (await refresh(client, elsewhere)).status_code == 401
        assert (await refresh(client, changed.json())).status_code == 200
        assert (await client.post("/auth/login", json=other)).status_code == 401
        new = {**other, "password": body["new_password"]}
        assert (await client.post("/auth/login", json=new)).status_code == 200

    async def test_is_nothing_for_a_key(self, client: httpx.AsyncClient, account: Account) -> None:
        body = {"name": "Loja"}
        key = (await client.post("/api-keys", json=body, headers=account.bearer)).json()["key"]
        change = {"current_password": PASSWORD, "new_password": "another horse"}
        for path, given in (("/auth/password", change), ("/auth/logout-everywhere", None)):
            refused = await client.post(path, json=given, headers={"X-Api-Key": key})
            assert (refused.status_code, refused.json()["code"]) == (403, "person_required")
