"""Queuing again what failed: all of it, once, in order, whatever dies meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import Outside, eventually
from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.endpoints.secrets import Vault
from crm_webhooks.recoveries import repository
from crm_webhooks.recoveries.job import Recoveries
from cryptography.fernet import Fernet
from pydantic import SecretStr
from service_kit.sealing import Seal
from shared_events.webhooks.delivery import GetDelivery, Redeliver
from shared_events.webhooks.recovery import GetRecovery, Recover, Replay

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def done(tenant: Tenant, begun: dict[str, Any]) -> dict[str, Any]:
    async def finished() -> dict[str, Any] | None:
        found = await tenant.value(GetRecovery(recovery_id=begun["id"]))
        return found if found["state"] == "done" else None

    found: dict[str, Any] = await eventually(finished)
    return found


async def plant_failed(tenant: Tenant, endpoint: dict[str, Any], count: int) -> None:
    async with tenant.database.tenant(tenant.id) as tx:
        await tx.execute(
            "INSERT INTO webhook_deliveries (id, tenant_id, event_id, event_type, endpoint_id,"
            " ordering_key, status) SELECT gen_random_uuid(), $1, gen_random_uuid(), 'x.y', $2,"
            " $2, CASE WHEN n % 2 = 0 THEN 'cancelled' ELSE 'exhausted' END"
            " FROM generate_series(1, $3::int) AS n",
            tenant.id,
            endpoint["id"],
            count,
        )


class TestRecover:
    async def test_sends_what_failed_since_and_nothing_else(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        endpoint = await mine.endpoint(receiver.url_for("mine"), event_types=["contact.created"])
        wanted = {"event_types": ["contact.created"]}  # not that the others' were given up
        elsewhere = await mine.endpoint(receiver.url_for("elsewhere"), **wanted)
        theirs = await other.endpoint(receiver.url_for("theirs"), **wanted)
        receiver.default = Answer(500)
        await mine.contact_created()
        before = await mine.settled(endpoint, "exhausted")
        contact = uuid4()
        failed = await mine.contact_created(contact_id=contact, count=3)
        await other.contact_created()

        async def given_up() -> bool:
            counts = [
                len(await tenant.deliveries(which, status="exhausted"))
                for tenant, which in ((mine, endpoint), (mine, elsewhere), (other, theirs))
            ]
            return counts == [4, 4, 1]

        await eventually(given_up)
        receiver.default = Answer(200)
        await mine.contact_created()
        (newest, *_) = await mine.deliveries(endpoint, status="exhausted")
        await mine.value(Redeliver(delivery_id=newest["id"]))
        for which in (endpoint, elsewhere):
            await mine.settled(which)
        sent_before = len(receiver.requests)

        since = datetime.fromisoformat(before["updated_at"]) + timedelta(microseconds=1)
        begun = await mine.value(Recover(endpoint_id=endpoint["id"], since=since))
        assert (begun["total"], begun["has_more"]) == (2, False)
        assert (await done(mine, begun))["done"] == 2
        got = await receiver.wait_for_count(sent_before + 2)
        assert [(r.path, r.id) for r in got[sent_before:]] == [("/mine", one) for one in failed[:2]]
        old = await mine.value(GetDelivery(delivery_id=before["id"]))
        assert (old["status"], old["attempts"]) == ("exhausted", 4)

        again = await mine.value(Recover(endpoint_id=endpoint["id"], since=since))
        assert (again["total"], again["state"]) == (0, "done")
        for asked, code in (
            (Recover(endpoint_id=endpoint["id"], since=since), "webhook_endpoint_not_found"),
            (GetRecovery(recovery_id=begun["id"]), "webhook_recovery_not_found"),
        ):
            problem = (await other.ask(asked)).problem
            assert (problem.kind, problem.code) == ("not_found", code)
        stale = await mine.problem(
            Recover(endpoint_id=endpoint["id"], since=since), expected_version=9
        )
        assert stale.kind == "precondition_failed"

    async def test_takes_more_than_a_step_and_waits_for_an_enabled_endpoint(
        self, tenant: Tenant
    ) -> None:
        endpoint = await tenant.endpoint("https://example.com/", enabled=False)
        await plant_failed(tenant, endpoint, repository.STEP + 1)
        request = Recover(endpoint_id=endpoint["id"], since=LONG_AGO)
        begun = await tenant.value(request)
        assert begun["total"] == repository.STEP + 1
        assert (await done(tenant, begun))["done"] == repository.STEP + 1
        (queued,) = await tenant.rows(
            "SELECT count(*) AS n, count(DISTINCT event_id) AS events, min(replay_no) AS first,"
            " max(replay_no) AS last FROM webhook_deliveries"
            " WHERE status = 'pending' AND trigger = 'recovery'"
        )
        count = repository.STEP + 1
        assert queued == {"n": count, "events": count, "first": 1, "last": 1}
        order = await tenant.rows(
            "SELECT event_id FROM webhook_deliveries WHERE replay_no = 0 ORDER BY seq"
        )
        assert order == await tenant.rows(
            "SELECT event_id FROM webhook_deliveries WHERE replay_no = 1 ORDER BY seq"
        )


class TestReplay:
    async def test_sends_a_range_again_each_once_whatever_became_of_it(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        endpoint = await mine.endpoint(receiver.url_for("mine"), event_types=["contact.created"])
        theirs = await other.endpoint(receiver.url_for("theirs"))
        await mine.endpoint(receiver.url_for("elsewhere"))
        await other.contact_created()
        told: list[str] = []
        for status in (200, 200, 500, 200, 200):
            receiver.default = Answer(status)
            told += await mine.contact_created()
            await mine.settled(endpoint, "delivered" if status == 200 else "exhausted")
        owed = (await mine.deliveries(endpoint))[::-1]
        assert [one["event_id"] for one in owed] == told
        await mine.value(Redeliver(delivery_id=owed[1]["id"]))
        await mine.settled(endpoint)
        await other.settled(theirs)

        since, until = (datetime.fromisoformat(owed[n]["created_at"]) for n in (1, 4))
        request = Replay(endpoint_id=endpoint["id"], since=since, until=until)
        begun = await mine.value(request)
        assert (begun["total"], begun["state"], begun["has_more"]) == (3, "running", False)
        assert (begun["since"], begun["until"]) == (owed[1]["created_at"], owed[4]["created_at"])
        assert (await done(mine, begun))["done"] == 3
        await mine.settled(endpoint)

        async def sent() -> Any:
            found = await mine.deliveries(endpoint, status="delivered")
            return found[:3] if len(found) == 4 + 1 + 3 else None

        again = (await eventually(sent))[::-1]
        assert [one["event_id"] for one in again] == told[1:4]
        assert {one["trigger"] for one in again} == {"replay"}
        ids = [r.id for r in receiver.requests if r.path == "/mine"]
        assert sorted(ids[-3:]) == sorted(told[1:4])
        numbers = await mine.rows(
            "SELECT max(replay_no) AS n FROM webhook_deliveries WHERE endpoint_id = $1"
            " GROUP BY event_id ORDER BY min(seq)",
            endpoint["id"],
        )
        assert [row["n"] for row in numbers] == [0, 2, 1, 1, 0]
        assert len(await other.deliveries(theirs)) == 1

        backwards = request.model_copy(update={"until": since})
        assert await mine.refusal(backwards) == ("invalid", "before_since")
        missing = ("not_found", "webhook_endpoint_not_found")
        assert await other.refusal(request) == missing
        stale = await mine.refusal(request, expected_version=9)
        assert stale == ("precondition_failed", "stale_version")

    async def test_leaves_alone_what_is_owed_still(self, tenant: Tenant) -> None:
        endpoint = await tenant.endpoint("https://example.com/", enabled=False)
        count = repository.STEP + 1
        await plant_failed(tenant, endpoint, count)
        request = Replay(
            endpoint_id=endpoint["id"], since=LONG_AGO, until=datetime(2999, 1, 1, tzinfo=UTC)
        )
        begun = await tenant.value(request)
        assert begun["total"] == count
        running = await tenant.ask(request)
        if running.problem is not None:  # it may be done by now
            assert running.problem.code == "recovery_running"
        assert (await done(tenant, begun))["done"] == count
        again = await tenant.value(request)
        assert (again["total"], again["state"]) == (0, "done")
        (queued,) = await tenant.rows(
            "SELECT count(*) AS n, count(DISTINCT event_id) AS events FROM webhook_deliveries"
            " WHERE status = 'pending' AND replay_no = 1"
        )
        assert queued == {"n": count, "events": count}


class _DiedError(Exception):
    """The process ends here."""


class TestCrash:
    async def test_another_process_goes_on_where_one_died(
        self, new_place: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No service runs: two jobs of two companies are worked off by hand, in turns."""
        database = (await new_place()).database
        async with database.connected() as connected:
            nobody = cast(Outside, None)  # nothing is asked over the bus
            ours, theirs = (Tenant(connected, nobody, company) for company in ("ours", "theirs"))
            begun = {}
            for tenant in (ours, theirs):
                endpoint = {"id": uuid4()}
                async with connected.tenant(tenant.id) as tx:
                    await tx.execute(
                        "INSERT INTO webhook_endpoints (id, tenant_id, url, event_types, headers,"
                        " enabled) VALUES ($1, $2, 'https://example.com', '{*}', '', true)",
                        endpoint["id"],
                        tenant.id,
                    )
                await plant_failed(tenant, endpoint, 2 * repository.STEP)
                async with connected.tenant(tenant.id) as tx:
                    row = await repository.add(tx, endpoint["id"], LONG_AGO)
                    assert await repository.is_running(tx, endpoint["id"])
                begun[tenant.id] = row.id

            async def far(tenant: Tenant) -> int:
                async with connected.tenant(tenant.id) as tx:
                    return (await repository.get(tx, begun[tenant.id])).done

            class Quiet(EndpointRepository):
                dies = False

                async def announce(self, tx: Any, endpoint_id: UUID) -> None:
                    if self.dies:
                        raise _DiedError

            endpoints = Quiet(Vault(Seal(SecretStr(Fernet.generate_key().decode()))))
            job = Recoveries(connected, endpoints)
            await job.step()
            await job.step()
            assert [await far(ours), await far(theirs)] == [repository.STEP] * 2
            endpoints.dies = True
            with pytest.raises(_DiedError):
                await job.step()
            endpoints.dies = False
            successor = Recoveries(connected, endpoints)
            while await successor.step():
                pass
            for tenant in (ours, theirs):
                assert await far(tenant) == 2 * repository.STEP
                (queued,) = await tenant.rows(
                    "SELECT count(*) AS n, count(DISTINCT event_id) AS events"
                    " FROM webhook_deliveries WHERE replay_no > 0"
                )
                assert queued == {"n": 2 * repository.STEP, "events": 2 * repository.STEP}
