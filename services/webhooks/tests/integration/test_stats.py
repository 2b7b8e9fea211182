"""What a customer is told of how an endpoint does, and how deliveries are found."""

import json
from typing import Any

from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_webhooks.deliveries import stats
from service_kit.database import Database
from shared_events.webhooks.delivery import GetEndpointStats


class TestStats:
    async def test_are_of_one_endpoint_and_its_newest_deliveries(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        endpoint = await mine.endpoint(receiver.url_for("mine"), event_types=["contact.created"])
        request = GetEndpointStats(endpoint_id=endpoint["id"])
        assert await mine.value(request) == {
            **dict.fromkeys(("deliveries", "delivered", "exhausted", "attempts", "waiting"), 0),
            **dict.fromkeys(("since", "success_rate", "latency_ms", "oldest_due_at")),
            "limited_until": None,
            **dict.fromkeys(("last_success_at", "last_failure_at")),
            "endpoint_id": endpoint["id"],
            "errors": {},
        }
        theirs = await other.endpoint(receiver.url_for("theirs"))
        await other.contact_created()
        await other.settled(theirs)
        receiver.answer(*[Answer(500)] * 3, Answer(404), path="mine")
        await mine.contact_created()
        await mine.settled(endpoint, "exhausted")
        receiver.answer(Answer(200, delay=0.2), path="mine")
        await mine.contact_created()
        delivered = await mine.settled(endpoint)
        receiver.answer(Answer(429, headers={"Retry-After": "3600"}), path="mine")
        await mine.contact_created()
        await mine.settled(endpoint, "retrying")
        found = await mine.value(request)
        counted = {n: found[n] for n in ("deliveries", "delivered", "exhausted", "attempts")}
        assert counted == {"deliveries": 3, "delivered": 1, "exhausted": 1, "attempts": 6}
        assert (found["success_rate"], found["waiting"]) == (0.5, 1)
        assert found["errors"] == {"http_5xx": 3, "http_4xx": 2}
        latency = found["latency_ms"]  # how fast others were answered is the machine's
        assert 0 <= latency["p50"] <= latency["p99"] >= 100
        assert found["last_success_at"] == delivered["attempt_log"][0]["started_at"]
        assert found["last_failure_at"] > found["last_success_at"] > found["since"]
        assert found["oldest_due_at"] > found["last_failure_at"]
        problem = (await other.ask(request)).problem
        assert (problem.kind, problem.code) == ("not_found", "webhook_endpoint_not_found")

    async def test_cost_the_same_however_much_there_is(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver
    ) -> None:
        """Each part goes by an index and ends; nothing is read from end to end."""
        endpoint = await tenant.endpoint(receiver.url, enabled=False)
        database: Database = service.database
        async with database.tenant(tenant.id) as tx:
            await tx.execute(
                "INSERT INTO webhook_deliveries (id, tenant_id, event_id, event_type, endpoint_id,"
                " ordering_key, status) SELECT gen_random_uuid(), $1, gen_random_uuid(), 'x.y', $2,"
                " $2, CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'exhausted' END"
                " FROM generate_series(1, 3000) AS n",
                tenant.id,
                endpoint["id"],
            )
            for statement in (stats.OUTCOMES, stats.WAITING):
                (plan,) = json.loads(
                    await tx.fetchval(
                        f"EXPLAIN (FORMAT JSON) {statement}", endpoint["id"], tenant.id
                    )
                )
                assert "Seq Scan" not in json.dumps(plan)
        found = await tenant.value(GetEndpointStats(endpoint_id=endpoint["id"]))
        assert (found["deliveries"], found["exhausted"], found["waiting"]) == (1000, 500, 1500)


class TestFilters:
    async def test_find_deliveries_by_state_and_time(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, event_types=["contact.created"])
        receiver.answer(*[Answer(500)] * 4)
        await tenant.contact_created()
        failed = await tenant.settled(endpoint, "exhausted")
        await tenant.contact_created()
        fine = await tenant.settled(endpoint)
        for found, filters in (
            ([failed], {"status": "exhausted"}),
            ([fine], {"status": "delivered"}),
            ([fine], {"created_at[gte]": fine["created_at"]}),
            ([failed], {"created_at[lt]": fine["created_at"]}),
            ([], {"created_at[gte]": fine["created_at"], "status": "exhausted"}),
            ([fine, failed], {"created_at[gte]": failed["created_at"], "status": None}),
            ([], {"event_type": "x" * 100}),
        ):
            listed = await tenant.deliveries(endpoint, **filters)
            assert [d["id"] for d in listed] == [d["id"] for d in found], filters


class TestPhases:
    async def test_of_a_new_connection_and_of_a_kept_one(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url.replace("127.0.0.1", "localhost"))
        receiver.answer(Answer(500, delay=0.1))
        await tenant.contact_created()
        first, again = (await tenant.settled(endpoint))["attempt_log"]
        assert 100 <= first["first_byte_ms"] <= first["duration_ms"]
        assert first["dns_ms"] is not None and first["connect_ms"] is not None
        assert first["dns_ms"] + first["connect_ms"] <= first["first_byte_ms"]
        assert (again["dns_ms"], again["connect_ms"]) == (None, None)
        assert again["first_byte_ms"] <= again["duration_ms"]
