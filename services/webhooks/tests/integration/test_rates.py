"""An endpoint's rate limit is kept by all processes together, and delays nobody else."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from crm_fakes import hostile
from crm_fakes.hostile import HostileReceiver
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from crm_webhooks.deliveries.rates import BURST_SECONDS, TOKEN_SECONDS
from shared_events.webhooks.delivery import GetEndpointStats
from shared_events.webhooks.endpoint import PatchEndpoint

EVENTS = 100
PER_MINUTE = 1200


async def attempted(tenant: Tenant, endpoint: dict[str, Any]) -> list[int]:
    """How often each of its deliveries was tried, fewest first."""
    rows = await tenant.rows(
        "SELECT attempts FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY attempts",
        UUID(endpoint["id"]),
    )
    return [row["attempts"] for row in rows]


async def limited(tenant: Tenant, endpoint: dict[str, Any], limit: int | None) -> None:
    """Give it another limit."""
    await tenant.value(PatchEndpoint(endpoint_id=endpoint["id"], rate_limit_per_minute=limit))


async def woken(tenant: Tenant, endpoint: dict[str, Any], owners: set[UUID]) -> None:
    """Have all processes claim, over and over, and note who has something of it in hand."""
    while True:
        rows = await tenant.rows(
            "SELECT DISTINCT lease_owner FROM webhook_deliveries WHERE lease_owner IS NOT NULL"
            " AND endpoint_id = $1",
            UUID(endpoint["id"]),
        )
        owners |= {row["lease_owner"] for row in rows}
        await tenant.rows("SELECT pg_notify('webhook_endpoints', $1)", endpoint["id"])


class TestReplicas:
    async def test_keep_to_it_together_and_others_are_not_held_up(
        self, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        place = await new_place()
        receiver.default = Answer(delay=0.05)
        async with (
            HostileReceiver() as counting,
            place.running(),
            place.running(),
            place.asking() as tenants,
        ):
            mine, other = tenants(), tenants()
            counting.default = hostile.saying(hostile.EMPTY)
            endpoint = await mine.endpoint(counting.url, rate_limit_per_minute=PER_MINUTE)
            await mine.endpoint(receiver.url_for("mine"))
            await other.endpoint(receiver.url_for("other"))
            owners: set[UUID] = set()
            waking = asyncio.create_task(woken(mine, endpoint, owners))
            await mine.contact_created(count=EVENTS)
            await other.contact_created(count=EVENTS)
            await receiver.wait_for_count(2 * EVENTS)
            assert len(counting.visits) < EVENTS, "it had to wait while nobody else did"
            visits = await counting.visits.wait_for_count(lambda _: True, EVENTS)
            waking.cancel()
            with suppress(asyncio.CancelledError):
                await waking
            assert len(owners) == 2, "both had a share in it"

            async def settled() -> bool:
                return await attempted(mine, endpoint) == [1] * EVENTS

            await eventually(settled)
        # As many as there are tokens in that time; two that counted for themselves would send 80.
        slack = BURST_SECONDS + TOKEN_SECONDS
        assert counting.most_within(2.0) <= 1 + (2.0 + slack) * PER_MINUTE / (60 + slack)
        took = visits[-1].arrived_at - visits[0].arrived_at
        assert took >= (EVENTS - 1) * 60 / PER_MINUTE - slack


class TestLimit:
    async def test_holds_the_rest_without_an_attempt_until_it_is_lifted(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        endpoint = await mine.endpoint(receiver.url_for("mine"), rate_limit_per_minute=1)
        await other.endpoint(receiver.url_for("other"), rate_limit_per_minute=1)
        assert endpoint["rate_limit_per_minute"] == 1
        await other.contact_created()
        begun = datetime.now(UTC)
        sent = await mine.contact_created(count=5)
        await receiver.wait_for_count(2)  # each company has an account of its own
        stats = GetEndpointStats(endpoint_id=endpoint["id"])

        async def waiting() -> dict[str, Any] | None:
            found = await mine.value(stats)
            return found if found["waiting"] == 4 else None

        until = datetime.fromisoformat((await eventually(waiting))["limited_until"])
        minute = timedelta(seconds=60)
        assert begun + minute < until < datetime.now(UTC) + minute + timedelta(seconds=1)
        assert await attempted(mine, endpoint) == [0] * 4 + [1]
        await limited(mine, endpoint, None)
        await receiver.wait_for_count(5, lambda r: r.path == "/mine")
        assert {r.id for r in receiver.requests if r.path == "/mine"} == set(sent)
        assert (await mine.value(stats))["limited_until"] is None

    async def test_counts_retries_too(self, tenant: Tenant, receiver: WebhookReceiver) -> None:
        receiver.answer(Answer(500))
        endpoint = await tenant.endpoint(receiver.url, rate_limit_per_minute=1)
        await tenant.contact_created()
        delivery = await tenant.settled(endpoint, "retrying")
        due = datetime.fromisoformat(delivery["next_attempt_at"])
        found = await tenant.value(GetEndpointStats(endpoint_id=endpoint["id"]))
        assert datetime.fromisoformat(found["limited_until"]) - due > timedelta(seconds=50)

    async def test_that_comes_late_holds_what_is_in_hand_already(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        release = asyncio.Event()
        async with HostileReceiver() as stuck:
            stuck.default = hostile.late(release, hostile.EMPTY)
            endpoint = await tenant.endpoint(stuck.url)
            await tenant.contact_created(count=20)
            await stuck.visits.wait_for_count(lambda _: True, 2)  # the others wait in memory
            await limited(tenant, endpoint, 1)
            release.set()
            await stuck.visits.wait_for_count(lambda _: True, 3)

            async def written() -> bool:
                done = [0] * 17 + [1] * 3
                return await attempted(tenant, endpoint) == done

            await eventually(written)
            await tenant.endpoint(receiver.url)
            await tenant.contact_created()
            await receiver.wait_for_count(1)
            assert len(stuck.visits) == 3

    async def test_gives_back_what_found_no_place_in_time(
        self, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        """Sent later, it would meet the tokens that others were given since."""
        place = await new_place()
        release = asyncio.Event()
        busy = {"webhook_concurrency": 4, "webhook_slow_seconds": 20.0}
        patient = {"webhook_timeout_seconds": 30.0, "webhook_lease_seconds": 120.0}
        async with (
            HostileReceiver() as stuck,
            place.running(**busy, **patient),
            place.asking() as tenants,
        ):
            hanging, tenant = tenants(), tenants()
            stuck.default = hostile.late(release, hostile.EMPTY)
            for path in ("a", "b"):
                await hanging.endpoint(stuck.url + path)
            await hanging.contact_created(count=2)
            await stuck.visits.wait_for_count(lambda _: True, 3)  # one place is for the slow
            endpoint = await tenant.endpoint(receiver.url_for("limited"), rate_limit_per_minute=1)
            await tenant.contact_created()

            async def is_late() -> bool:
                rows = await tenant.rows(
                    "SELECT FROM webhook_deliveries WHERE lease_until < now() + interval '119 s'"
                )
                return bool(rows)

            await eventually(is_late)
            release.set()

            async def is_back() -> bool:
                rows = await tenant.rows("SELECT FROM webhook_deliveries WHERE lease_owner IS NULL")
                return bool(rows)

            await eventually(is_back)
            assert await attempted(tenant, endpoint) == [0]
            assert len(receiver.requests) == 0

    @pytest.mark.parametrize("limit", [0, -1, 6001])
    async def test_has_bounds(self, limit: int) -> None:
        with pytest.raises(ValueError, match="rate_limit_per_minute"):
            PatchEndpoint.model_validate(
                {"endpoint_id": UUID(int=1), "rate_limit_per_minute": limit}
            )
