"""What an endpoint wants at a time at the most is kept by all processes together."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest
from crm_fakes import hostile
from crm_fakes.hostile import HostileReceiver
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from shared_events.webhooks.endpoint import PatchEndpoint

EVENTS = 40


async def delivered(tenant: Tenant, endpoint: dict[str, Any], count: int) -> None:
    """Wait until so many of its deliveries have arrived."""

    async def all_are() -> bool:
        rows = await tenant.rows(
            "SELECT FROM webhook_deliveries WHERE endpoint_id = $1 AND status = 'delivered'",
            UUID(endpoint["id"]),
        )
        return len(rows) == count

    await eventually(all_are)


async def owner(tenant: Tenant, endpoint: dict[str, Any]) -> UUID | None:
    """Which process alone sends to it at present."""
    rows = await tenant.rows(
        "SELECT owner FROM lane_owners WHERE endpoint_id = $1 AND until > now()",
        UUID(endpoint["id"]),
    )
    return rows[0]["owner"] if rows else None


class TestReplicas:
    async def test_keep_to_it_together_and_others_are_not_held_up(
        self, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        place = await new_place()
        receiver.default = Answer(delay=0.05)
        async with place.running(), place.running(), place.asking() as tenants:
            mine, other = tenants(), tenants()
            narrow = await mine.endpoint(receiver.url_for("narrow"), max_concurrency=2)
            assert narrow["max_concurrency"] == 2
            wide = await other.endpoint(receiver.url_for("wide"))
            await asyncio.gather(*(t.contact_created(count=EVENTS) for t in (mine, other)))
            await delivered(other, wide, EVENTS)
            await delivered(mine, narrow, EVENTS)
        assert receiver.most_at_once["/narrow"] == 2
        assert receiver.most_at_once["/wide"] > 2

    async def test_another_takes_over_from_one_that_stops(
        self, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        place = await new_place()
        long = {"webhook_lease_seconds": 60.0}
        async with AsyncExitStack() as one:
            await one.enter_async_context(place.running(**long))
            async with place.asking() as tenants:
                tenant = tenants()
                endpoint = await tenant.endpoint(receiver.url, max_concurrency=1)
                await tenant.contact_created()
                await delivered(tenant, endpoint, 1)
                first = await owner(tenant, endpoint)
                async with place.running(**long):
                    await tenant.contact_created(count=2)
                    await delivered(tenant, endpoint, 3)
                    assert await owner(tenant, endpoint) == first
                    await one.aclose()
                    assert await owner(tenant, endpoint) is None
                    await tenant.contact_created()
                    await delivered(tenant, endpoint, 4)
                    assert await owner(tenant, endpoint) not in (None, first)


class TestLimit:
    async def test_that_comes_late_holds_what_is_in_hand_already(self, tenant: Tenant) -> None:
        release = asyncio.Event()
        async with HostileReceiver() as stuck:
            stuck.default = hostile.late(release, hostile.EMPTY)
            endpoint = await tenant.endpoint(stuck.url)
            await tenant.contact_created(count=20)
            await stuck.visits.wait_for_count(lambda _: True, 2)
            assert await owner(tenant, endpoint) is None
            await tenant.value(PatchEndpoint(endpoint_id=endpoint["id"], max_concurrency=1))
            release.set()
            await delivered(tenant, endpoint, 20)
            assert await owner(tenant, endpoint)

    @pytest.mark.parametrize("most", [0, -1, 101])
    async def test_has_bounds(self, most: int) -> None:
        with pytest.raises(ValueError, match="max_concurrency"):
            PatchEndpoint.model_validate({"endpoint_id": UUID(int=1), "max_concurrency": most})
