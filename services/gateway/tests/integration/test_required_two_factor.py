"""A company that wants a second factor lets nobody in without one, at once and at every gateway."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_gateway.access import standings
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import PUBLIC
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    RunGateway,
    http_client,
    register,
    until,
)
from services.gateway.tests.integration.test_sessions import PASSWORD, bearer, code, colleague
from services.gateway.tests.integration.test_two_factor import enabled, log_in

REFUSAL = "two_factor_required_by_company"
ON = {"require_two_factor": True}


@pytest.fixture(scope="module")
async def replica(gateway: Service, run_gateway: RunGateway) -> AsyncIterator[httpx.AsyncClient]:
    """Another gateway on the same database."""
    async with run_gateway(gateway.settings.amqp_url) as service, http_client(service) as client:
        yield client


async def patch(client: httpx.AsyncClient, who: dict[str, str], body: dict[str, Any]) -> Any:
    """The changed settings, or the code of the refusal."""
    response = await client.patch("/settings", json=body, headers=who)
    return response.json() if response.is_success else response.json()["code"]


async def hears(client: httpx.AsyncClient, who: dict[str, Any], expected: Any) -> None:
    """Sooner than a gateway would look by itself."""

    async def heard() -> bool:
        return bool(await code(client, who) == expected)

    await until(heard, seconds=standings.REMEMBERED_SECONDS * 0.8)


class TestTurningOn:
    async def test_takes_a_second_factor_of_the_admins_own(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        assert await patch(client, account.bearer, ON) == "two_factor_not_enabled"
        made = await client.post("/api-keys", json={"name": "k"}, headers=account.bearer)
        key = {"X-Api-Key": made.json()["key"]}
        assert await patch(client, key, ON) == "person_required"
        await enabled(client, account)
        assert await patch(client, key, ON) == "person_required"
        settings = await patch(client, account.bearer, ON)
        assert settings["require_two_factor"] is True
        # Once it is on, anything else is changed as ever.
        assert (await patch(client, key, {"agents_see": "own"}))["require_two_factor"] is True
        assert (await patch(client, key, {"require_two_factor": False}))["agents_see"] == "own"
        log = await client.get("/audit-log?action=settings.update", headers=account.bearer)
        assert [
            (act["before"]["require_two_factor"], act["after"]["require_two_factor"])
            for act in log.json()["data"]
        ] == [(True, False), (True, True), (False, True)]


class TestDemanded:
    async def test_who_has_none_may_only_set_one_up_and_then_everything(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account
    ) -> None:
        stranger = await register(client)
        bia = await colleague(client, account, "admin")
        assert await code(replica, bia) == 200
        await enabled(client, account)
        await patch(client, account.bearer, ON)
        assert await code(client, bia) == REFUSAL
        await hears(replica, bia, REFUSAL)
        for row in ROUTES:
            if row.permission == PUBLIC or row.despite:
                continue
            path = row.path.format(**dict.fromkeys(row.parameters, str(uuid4())))
            answer = await client.request(row.method, path, headers=bearer(bia))
            told = (answer.status_code, answer.json()["code"])
            assert told == (403, REFUSAL), (row.method, row.path)
        # Logging in anew brings tokens that are worth no more.
        person = Account(bia["email"], PASSWORD, bia)
        again = Account(bia["email"], PASSWORD, await log_in(client, person))
        assert await code(client, again.body) == REFUSAL
        device, _ = await enabled(client, again)
        assert await code(client, again.body) == await code(client, bia) == 200
        await hears(replica, bia, 200)
        assert await log_in(client, person) == "two_factor_required"
        assert await code(client, await log_in(client, person, device.code())) == 200
        assert await code(client, stranger.body) == await code(client, account.body) == 200

    async def test_who_loses_it_is_asked_for_another(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await colleague(client, account, "agent")
        _, codes = await enabled(client, account)
        await enabled(client, Account(bia["email"], PASSWORD, bia))
        await patch(client, account.bearer, ON)
        assert await code(client, bia) == await code(replica, bia) == 200
        gone = await client.delete(f"/agents/{bia['id']}/two-factor", headers=account.bearer)
        assert gone.status_code == 204
        assert await code(client, bia) == REFUSAL
        await hears(replica, bia, REFUSAL)
        both = {"password": PASSWORD, "code": codes[0]}
        path = "/auth/two-factor/disable"
        assert (await client.post(path, json=both, headers=account.bearer)).status_code == 204
        assert await code(client, account.body) == REFUSAL
        await enabled(client, account)
        assert await code(client, account.body) == 200

    async def test_a_key_is_not_asked_and_it_ends_with_the_setting(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await colleague(client, account, "agent")
        made = await client.post("/api-keys", json={"name": "k"}, headers=account.bearer)
        key = {"X-Api-Key": made.json()["key"]}
        await enabled(client, account)
        await patch(client, account.bearer, ON)
        assert (await client.get("/agents", headers=key)).status_code == 200
        await hears(replica, bia, REFUSAL)
        await patch(client, account.bearer, {"require_two_factor": False})
        assert await code(client, bia) == 200
        await hears(replica, bia, 200)

    async def test_the_refusal_is_told_in_portuguese(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await colleague(client, account, "agent")
        await enabled(client, account)
        await patch(client, account.bearer, ON)
        asked = {**bearer(bia), "Accept-Language": "pt-BR"}
        told = (await client.get("/auth/me", headers=asked)).json()
        assert told["detail"] == "A empresa exige um segundo fator: configure um antes."
