"""An endpoint that fails at once, with much waiting, is left alone ever longer, and comes back."""

from itertools import pairwise
from typing import Any

from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from shared_events.webhooks.endpoint import PatchEndpoint

WAITING = 300


async def waits(tenant: Tenant) -> None:
    """Until all that happened is owed."""

    async def owed() -> bool:
        [row] = await tenant.rows("SELECT count(*) FROM webhook_deliveries")
        return bool(row["count"] == WAITING)

    await eventually(owed)


async def paused(tenant: Tenant) -> bool:
    (row,) = await tenant.rows("SELECT paused_until > now() AS paused FROM webhook_endpoints")
    return bool(row["paused"])


class TestFastFailing:
    async def test_is_probed_ever_more_rarely_and_drained_once_it_heals(
        self, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        place = await new_place()
        async with place.running(retry_schedule_seconds=(3600.0,)), place.asking() as tenants:
            tenant = tenants()
            await tenant.endpoint(receiver.url)
            receiver.default = Answer(500)
            await tenant.contact_created(count=WAITING)
            await waits(tenant)
            seen = await receiver.wait_for_count(13)
            gaps = [
                after.arrived_monotonic - one.arrived_monotonic for one, after in pairwise(seen)
            ]
            assert [gap >= least for gap, least in zip(gaps[9:12], (0.5, 1, 2), strict=True)] == [
                True
            ] * 3
            assert max(receiver.by_id.values()) == 1, "each keeps to its own schedule"
            await eventually(lambda: paused(tenant))  # for every process
            failed = len(receiver.requests)
            receiver.default = Answer(200)

            async def drained() -> bool:
                return len(receiver.requests) - failed == WAITING - failed

            await eventually(drained)
            rows = await tenant.rows("SELECT status, attempts FROM webhook_deliveries")
            assert {row["attempts"] for row in rows} <= {0, 1}
            assert sum(row["status"] == "retrying" for row in rows) == failed

    async def test_another_url_is_no_such_endpoint(
        self, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        place = await new_place()
        async with place.running(), place.asking() as tenants:
            tenant = tenants()
            endpoint = await tenant.endpoint(receiver.url_for("broken"))
            receiver.answer(*[Answer(500)] * WAITING, path="/broken")
            await tenant.contact_created(count=WAITING)
            await waits(tenant)
            await eventually(lambda: paused(tenant))
            moved = {"endpoint_id": endpoint["id"], "url": receiver.url_for("mended")}
            await tenant.value(PatchEndpoint.model_validate(moved))
            await receiver.wait_for(lambda r: r.path == "/mended")
            assert not await paused(tenant)


async def test_results_hold_no_delivery_while_they_wait_for_an_endpoint(
    new_place: Any, receiver: WebhookReceiver
) -> None:
    """Who deletes an endpoint has it first, and cancels its deliveries then."""
    place = await new_place()
    async with place.running(retry_schedule_seconds=(3600.0,)), place.asking() as tenants:
        tenant = tenants()
        await tenant.endpoint(receiver.url)
        receiver.default = Answer(500)

        async def results_wait() -> bool:
            [row] = await tenant.rows(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return bool(row["count"])

        async with tenant.database.tenant(tenant.id) as tx:
            await tx.execute("SELECT 1 FROM webhook_endpoints FOR NO KEY UPDATE")
            await tenant.contact_created()
            await eventually(results_wait)
            assert await tx.fetch("SELECT 1 FROM webhook_deliveries FOR UPDATE NOWAIT")
