"""Each company keeps its events and deliveries for as long as it wants."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from crm_webhooks.deliveries.retention import SETTLED, purge
from crm_webhooks.event_log.retention import PURGE, purge_log
from service_kit.database import Database
from shared_events.gateway.company import CompanySettings, SettingsUpdated
from shared_events.requests import Principal, Reply
from shared_events.webhooks.event import ListEvents

AGED = (
    "UPDATE domain_event_log SET occurred_at = now() - $1::interval,"
    " recorded_at = now() - $1::interval",
    "UPDATE webhook_deliveries SET updated_at = now() - $1::interval",
    "UPDATE webhook_events SET recorded_at = now() - $1::interval",
    "UPDATE delivery_attempts SET started_at = now() - $1::interval",
)
TABLES = ("domain_event_log", "webhook_deliveries", "webhook_events", "delivery_attempts")


def settings(days: int | None, version: int = 2) -> SettingsUpdated:
    return SettingsUpdated(
        settings=CompanySettings(
            agents_see="all",
            auto_assignment="off",
            sessions_per_agent=10,
            event_retention_days=days,
            version=version,
            updated_at=datetime.now(UTC),
        )
    )


async def wants(tenant: Tenant, days: int | None, version: int = 2) -> None:
    """Its settings say so, and were heard."""
    await heard(tenant, await tenant.publish(settings(days, version)))


async def heard(tenant: Tenant, event_id: UUID) -> None:
    async def logged() -> bool:
        found = "SELECT FROM domain_event_log WHERE event_id = $1"
        return bool(await tenant.rows(found, event_id))

    await eventually(logged)


async def delivered(tenant: Tenant, url: str) -> str:
    """An event that was delivered and logged; returns a cursor from before it."""
    before = (await feed(tenant)).value
    assert before is not None
    endpoint = await tenant.endpoint(url)
    (event_id,) = await tenant.contact_created()
    await tenant.settled(endpoint)
    await heard(tenant, UUID(event_id))
    return str(before["next_cursor"])


async def feed(tenant: Tenant, **fields: Any) -> Reply:
    return await tenant.outside.client.call(
        ListEvents.model_validate(fields),
        principal=Principal(tenant_id=tenant.id, permissions=["*"]),
        correlation_id="req",
    )


async def aged(tenant: Tenant, database: Database, age: str) -> None:
    """Everything of it happened so long ago."""
    async with database.tenant(tenant.id) as tx:
        for statement in AGED:
            await tx.execute(statement.replace("$1", f"'{age}'"))


async def kept(tenant: Tenant) -> list[bool]:
    """Whether there is anything of it, table by table."""
    return [bool(await tenant.rows(f"SELECT FROM {table} LIMIT 1")) for table in TABLES]


class TestRetention:
    async def test_is_each_companys_own(
        self, tenants: Any, service: Any, receiver: WebhookReceiver
    ) -> None:
        brief, long, old, young = tenants(), tenants(), tenants(), tenants()
        await wants(brief, 1)
        await wants(long, 365)
        cursors = {}
        for tenant, age in (
            (brief, "2 days"),
            (long, "364 days"),
            (old, "31 days"),
            (young, "29 days"),
        ):
            cursors[tenant.id] = await delivered(tenant, receiver.url)
            await aged(tenant, service.database, age)
        await purge(service.database, days=30)
        await purge_log(service.database, days=30)
        assert [await kept(tenant) for tenant in (brief, long, old, young)] == [
            [False] * 4,
            [True] * 4,
            [False] * 4,
            [True] * 4,
        ]
        for tenant, code in ((brief, "cursor_expired"), (long, None), (young, None)):
            problem = (await feed(tenant, after=cursors[tenant.id])).problem
            assert (problem and problem.code) == code
        await wants(long, None, version=3)
        await purge(service.database, days=30)
        await purge_log(service.database, days=30)
        told = await long.rows("SELECT event_type FROM domain_event_log")
        assert [row["event_type"] for row in told] == ["settings.updated"]
        assert (await kept(long))[1:] == [False] * 3

    async def test_is_what_the_newest_settings_say_that_know_of_it(self, tenant: Tenant) -> None:
        async def days() -> int | None:
            (row,) = await tenant.rows("SELECT days FROM event_retentions")
            found: int | None = row["days"]
            return found

        await wants(tenant, 7, version=5)
        await wants(tenant, 90, version=4)
        assert await days() == 7
        before = settings(None, 6).model_dump(mode="json")["settings"]
        del before["event_retention_days"]
        await heard(tenant, await tenant.happens("settings.updated", uuid4(), settings=before))
        assert await days() == 7
        await wants(tenant, None, version=7)
        assert await days() is None

    async def test_goes_by_steps_and_spares_what_is_owed(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, enabled=False)
        async with service.database.tenant(tenant.id) as tx:
            await tx.execute(
                "INSERT INTO webhook_deliveries (id, tenant_id, event_id, event_type, endpoint_id,"
                " ordering_key, status, updated_at)"
                " SELECT gen_random_uuid(), $1, gen_random_uuid(), 'x.y', $2, $2,"
                " CASE WHEN n = 0 THEN 'pending' ELSE 'delivered' END,"
                " now() - interval '31 days' FROM generate_series(0, 5001) AS n",
                tenant.id,
                UUID(endpoint["id"]),
            )
        await purge(service.database, days=30)
        assert [d["status"] for d in await tenant.deliveries(endpoint)] == ["pending"]

    async def test_spares_a_body_that_is_owed_to_somebody_else(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        held = await tenant.endpoint(receiver.url_for("held"), enabled=False)
        await tenant.contact_created()
        await tenant.settled(endpoint)
        await aged(tenant, service.database, "31 days")
        await purge(service.database, days=30)
        assert await tenant.deliveries(endpoint) == []
        assert len(await tenant.deliveries(held)) == 1
        assert await tenant.rows("SELECT FROM webhook_events")


async def test_looks_at_nothing_that_is_young(tenant: Tenant, service: Any) -> None:
    await wants(tenant, 30)
    endpoint = await tenant.endpoint("http://127.0.0.1:1/", enabled=False)
    ours = tenant.id, UUID(endpoint["id"])
    async with service.database.tenant(tenant.id) as tx:
        await tx.execute(
            "INSERT INTO webhook_deliveries (id, tenant_id, event_id, event_type, endpoint_id,"
            " ordering_key, status) SELECT gen_random_uuid(), $1, gen_random_uuid(), 'x.y', $2, $2,"
            " 'delivered' FROM generate_series(1, 1000)",
            *ours,
        )
        await tx.execute(
            "INSERT INTO domain_event_log (event_id, event_type, aggregate_id, aggregate_type,"
            " tenant_id, payload, occurred_at) SELECT gen_random_uuid(), 'x.y', $2, 'x', $1, '{}',"
            " now() FROM generate_series(1, 1000)",
            *ours,
        )
    async with service.database.system("purge") as tx:
        for statement in (PURGE, SETTLED):
            plan = await tx.fetch(f"EXPLAIN (ANALYZE) {statement}", 30 * 86_400.0)
            looked_at = "\n".join(line for (line,) in plan)
            passed_over = map(int, re.findall(r"Rows Removed by Filter: (\d+)", looked_at))
            assert sum(passed_over) < 500, looked_at


@pytest.mark.parametrize("days", [0, 366])
def test_has_bounds(days: int) -> None:
    with pytest.raises(ValueError, match="event_retention_days"):
        settings(days)
