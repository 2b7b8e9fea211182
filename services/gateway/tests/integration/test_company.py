"""How a company works: its settings, and what they mean for its people, at once and everywhere."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from crm_gateway.access import standings
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    Contacts,
    RunGateway,
    http_client,
    own_only,
    register,
    until,
)
from services.gateway.tests.integration.test_sessions import bearer, colleague

ROLES = ("admin", "supervisor", "agent")


@pytest.fixture(scope="module")
async def replica(gateway: Service, run_gateway: RunGateway) -> AsyncIterator[httpx.AsyncClient]:
    """Another gateway on the same database."""
    async with run_gateway(gateway.settings.amqp_url) as service, http_client(service) as client:
        yield client


async def patch(
    client: httpx.AsyncClient, account: Account, body: dict[str, Any], **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.patch("/settings", json=body, headers={**account.bearer, **named})


class TestSettings:
    async def test_are_the_companys_and_change_by_version(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        other = await register(client)
        found = await client.get("/settings", headers=account.bearer)
        assert (found.json()["agents_see"], found.headers["etag"][:3]) == ("all", '"1-')
        changed = await patch(client, account, {"agents_see": "own"}, If_Match='"1"')
        assert (changed.json()["agents_see"], changed.headers["etag"][:3]) == ("own", '"2-')
        stale = await patch(client, account, {"agents_see": "all"}, If_Match='"1"')
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
        for nothing in ({}, {"agents_see": "own"}):
            same = await patch(client, account, nothing)
            assert same.json() == changed.json()
        wrong = await patch(client, account, {"agents_see": "none"})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/agents_see")
        for key in ("k1", "k1"):
            again = await patch(client, account, {"agents_see": "all"}, Idempotency_Key=key)
            assert again.headers["etag"].startswith('"3-')
        assert again.headers["idempotent-replayed"] == "true"
        acts = await client.get("/audit-log?action=settings.update", headers=account.bearer)
        assert [
            (a["before"]["agents_see"], a["after"]["agents_see"]) for a in acts.json()["data"]
        ] == [
            ("own", "all"),
            ("all", "own"),
        ]
        more = await patch(
            client,
            account,
            {
                "auto_assignment": "round_robin",
                "sessions_per_agent": 1000,
                "opt_out_words": [" PARAR ", *("é" * 30 for _ in range(19))],
                "opt_in_words": ["VOLTAR"],
                "event_retention_days": 365,
            },
        )
        assert more.json()["event_retention_days"] == 365
        assert more.json()["agents_see"] == "all"
        assert more.json()["opt_out_words"][:2] == ["PARAR", "é" * 30]
        for bad in (
            {"sessions_per_agent": 0},
            {"sessions_per_agent": 1001},
            {"auto_assignment": "chance"},
            {"opt_out_words": ["x" * 31]},
            {"opt_out_words": [" "]},
            {"opt_in_words": ["x"] * 21},
            {"event_retention_days": 0},
            {"event_retention_days": 366},
        ):
            refused = await patch(client, account, bad)
            assert refused.status_code == 422
        async with gateway.database.tenant(account.tenant_id) as tx:
            told = await tx.fetch(
                "SELECT * FROM outbox_events WHERE event_type = 'settings.updated' ORDER BY seq"
            )
        assert [row["payload"]["settings"]["version"] for row in told] == [2, 3, 4]
        assert told[-1]["payload"]["settings"] == more.json()
        assert str(told[-1]["aggregate_id"]) == account.tenant_id
        theirs = (await client.get("/settings", headers=other.bearer)).json()
        assert (theirs["agents_see"], theirs["version"]) == ("all", 1)
        assert theirs["event_retention_days"] is None
        kept = await patch(client, account, {"agents_see": "own", "opt_in_words": None})
        assert kept.json()["event_retention_days"] == 365
        assert kept.json()["opt_in_words"] == ["VOLTAR"]
        reset = await patch(client, account, {"event_retention_days": None})
        assert (reset.json()["event_retention_days"], reset.json()["version"]) == (None, 6)

    @pytest.mark.parametrize("role", ["supervisor", "agent"])
    async def test_are_the_admins_to_see_and_to_change(
        self, client: httpx.AsyncClient, account: Account, role: str
    ) -> None:
        who = bearer(await colleague(client, account, role))
        assert (await client.get("/settings", headers=who)).status_code == 403
        refused = await client.patch("/settings", json={"agents_see": "all"}, headers=who)
        assert refused.status_code == 403


class TestAgentsSee:
    async def test_own_is_told_of_agents_alone_at_once_by_every_gateway(
        self,
        client: httpx.AsyncClient,
        replica: httpx.AsyncClient,
        contacts: Contacts,
        account: Account,
    ) -> None:
        other = await register(client)
        people = {role: bearer(await colleague(client, account, role)) for role in ROLES}
        scopes = {"name": "crm", "scopes": ["contacts.read", "sessions.read"]}
        made = await client.post("/api-keys", json=scopes, headers=account.bearer)
        people["key"] = {"X-Api-Key": made.json()["key"]}
        people["stranger"] = bearer(await colleague(client, other, "agent"))

        async def told(gateway: httpx.AsyncClient) -> set[str]:
            return {n for n, who in people.items() if await own_only(gateway, contacts, who)}

        for see, who in (("all", set[str]()), ("own", {"agent"}), ("all", set[str]())):
            await patch(client, account, {"agents_see": see})
            assert await told(client) == who

            async def heard(expected: set[str] = who) -> bool:
                return await told(replica) == expected

            await until(heard, seconds=standings.REMEMBERED_SECONDS * 0.8)
