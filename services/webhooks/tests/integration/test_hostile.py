"""The service beside receivers that break whatever can be broken, seen from outside."""

import asyncio
from typing import Any

from crm_fakes import hostile
from crm_fakes.hostile import HostileReceiver
from crm_fakes.names import Names
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually

PATIENT = {"webhook_timeout_seconds": 30.0, "webhook_lease_seconds": 120.0}


def errors(delivery: dict[str, Any]) -> list[str | None]:
    return [attempt["error"] for attempt in delivery["attempt_log"]]


class TestFaults:
    async def test_are_each_an_attempt_and_the_next_one_delivers(self, tenant: Tenant) -> None:
        release = asyncio.Event()
        async with HostileReceiver() as receiver:
            receiver.answer(
                hostile.resetting(hostile.OK),
                hostile.HUGE_HEADER,
                hostile.late(release, hostile.EMPTY),
            )
            endpoint = await tenant.endpoint(receiver.url)
            (event_id,) = await tenant.contact_created()
            delivery = await tenant.settled(endpoint)
            release.set()
            assert errors(delivery) == ["reset", "protocol", "timeout", None]
            assert [visit.id for visit in receiver.visits] == [event_id] * 4

    async def test_a_dripping_receiver_ends_at_the_deadline_and_frees_its_slot(
        self, tenant: Tenant
    ) -> None:
        async with HostileReceiver() as receiver:
            receiver.default = hostile.DRIPPING_HEADERS
            endpoint = await tenant.endpoint(receiver.url)
            await tenant.contact_created()
            delivery = await tenant.settled(endpoint, "exhausted")
            assert errors(delivery) == ["timeout"] * 4
            await receiver.visits.wait_for_count(lambda visit: visit.hung_up, 4)

    async def test_a_flood_of_interim_answers_holds_up_nobody_else(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        async with HostileReceiver() as flooder:
            flooder.default = hostile.INTERIM_FLOOD
            flooded = await tenant.endpoint(flooder.url)
            await tenant.endpoint(receiver.url)
            await tenant.contact_created(count=10)
            await receiver.wait_for(lambda _: len(receiver.by_id) == 10)

            async def timed_out() -> bool:
                found = await tenant.deliveries(flooded)
                return any(one["last_error"] == "timeout" for one in found)

            await eventually(timed_out)


class TestNames:
    async def test_one_that_was_rebound_is_delivered_once_it_is_good_again(
        self, new_place: Any
    ) -> None:
        place = await new_place()
        kind, inside = "127.0.0.2", "127.0.0.1"
        async with (
            HostileReceiver(host=inside) as canary,
            HostileReceiver(host=kind) as receiver,
            place.running(webhook_allowed_networks=f"{kind}/32", **PATIENT),
            place.asking() as tenants,
        ):
            tenant = tenants()
            with Names() as names:
                names.answer("shop.example", [inside], [kind, inside], [], [kind])
                endpoint = await tenant.endpoint(f"http://shop.example:{receiver.port}/")
                await tenant.contact_created()
                delivery = await tenant.settled(endpoint)
            assert errors(delivery) == ["ssrf_blocked", "ssrf_blocked", "dns", None]
            assert (canary.connections, len(receiver.visits)) == (0, 1)

    async def test_a_redirect_inside_is_not_even_looked_up(self, tenant: Tenant) -> None:
        async with HostileReceiver(host="127.0.0.3") as canary, HostileReceiver() as receiver:
            there = f"Location: http://inside.example:{canary.port}/\r\n".encode()
            empty = b"Content-Length: 0\r\n\r\n"
            receiver.answer(
                *(
                    hostile.saying(b"HTTP/1.1 %d X\r\n" % status + there + empty)
                    for status in (302, 307, 308)
                )
            )
            with Names() as names:
                names.answer("inside.example", ["127.0.0.3"])
                endpoint = await tenant.endpoint(receiver.url)
                await tenant.contact_created()
                delivery = await tenant.settled(endpoint)
            assert errors(delivery) == ["http_3xx"] * 3 + [None]
            assert (names.looks, canary.connections) == ([], 0)


class TestConcurrency:
    async def test_of_one_endpoint_is_bounded(self, new_place: Any) -> None:
        place = await new_place()
        async with (
            HostileReceiver() as receiver,
            place.running(webhook_endpoint_concurrency=2, **PATIENT),
            place.asking() as tenants,
        ):
            tenant = tenants()
            release = asyncio.Event()
            receiver.default = hostile.late(release, hostile.EMPTY)
            await tenant.endpoint(receiver.url)
            await tenant.contact_created(count=20)
            await receiver.visits.wait_for_count(lambda _: True, 2)
            release.set()
            await receiver.visits.wait_for_count(lambda _: True, 20)
            assert receiver.most_at_once() == 2


class TestHeadOfLine:
    async def test_endpoints_that_are_nearly_slow_do_not_fill_the_memory(
        self, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        """Their backlog is greater than the memory, and others are served past it."""
        place = await new_place()
        async with (
            place.running(webhook_backlog=60, webhook_slow_seconds=20.0, **PATIENT),
            place.asking() as tenants,
        ):
            near, healthy = tenants(), tenants()
            release = asyncio.Event()
            async with HostileReceiver() as stuck:
                stuck.default = hostile.late(release, hostile.EMPTY)
                for path in range(5):
                    await near.endpoint(stuck.url + str(path))
                endpoint = await healthy.endpoint(receiver.url)
                receiver.default = Answer(200)
                await near.contact_created(count=40)
                await stuck.visits.wait_for_count(lambda _: True, 10)
                sent = await healthy.contact_created(count=40)
                await receiver.wait_for(lambda _: len(receiver.by_id) == len(sent))
                assert len(stuck.visits) == 10, "nothing of theirs was answered meanwhile"

                async def told() -> bool:
                    found = await healthy.deliveries(endpoint)
                    return all(one["status"] == "delivered" for one in found)

                await eventually(told)
                release.set()
                await stuck.visits.wait_for_count(lambda _: True, 5 * 40)
