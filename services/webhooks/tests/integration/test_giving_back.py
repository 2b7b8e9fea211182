"""What is given back for an endpoint that wants a pause is not overtaken, however slow that is."""

import time
from typing import Any
from uuid import uuid4

from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually

PAUSE = 1.0


async def test_keeps_its_order_while_the_database_is_slow(
    new_place: Any, receiver: WebhookReceiver
) -> None:
    place, contact_id = await new_place(), uuid4()
    async with place.running(retry_schedule_seconds=(3600.0,)), place.asking() as tenants:
        tenant: Tenant = tenants()
        await tenant.endpoint(receiver.url)
        receiver.answer(Answer(429, delay=0.5, headers={"Retry-After": str(int(PAUSE))}))

        async def happens(times: int) -> str:
            [event_id] = await tenant.contact_created(contact_id=contact_id)

            async def owed() -> bool:
                [row] = await tenant.rows("SELECT count(*) FROM webhook_deliveries")
                return bool(row["count"] == times)

            await eventually(owed)
            return event_id

        first = await happens(1)
        [refused] = await receiver.wait_for_count(1)
        second = await happens(2)
        async with tenant.database.tenant(tenant.id) as tx:
            await tx.execute(
                "SELECT 1 FROM webhook_deliveries WHERE event_id = $1::uuid FOR UPDATE", second
            )

            async def over() -> bool:
                return time.monotonic() > refused.arrived_monotonic + 3 * PAUSE

            await eventually(over)  # the pause is, and nobody could write that it began
            third = await happens(3)
        seen = await receiver.wait_for_count(3)
        assert [request.id for request in seen] == [first, second, third]
