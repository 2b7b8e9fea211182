"""What is owed survives restarts, crashes and doubles; and no endpoint fails for ever."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.processes import process_of
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from cryptography.fernet import Fernet
from pydantic import SecretStr
from shared_events.services import WEBHOOKS
from shared_events.webhooks.endpoint import GetEndpoint


@pytest.fixture
async def own_place(new_place: Any) -> Any:
    return await new_place()


def working(place: Any) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """A process of the service."""
    settings = place.settings()
    return process_of(
        WEBHOOKS,
        DATABASE_URL=settings.database_url.get_secret_value(),
        RABBITMQ_URL=settings.rabbitmq_url.get_secret_value(),
        ENCRYPTION_KEY=settings.encryption_key.get_secret_value(),
        RETRY_SCHEDULE_SECONDS="0.1,0.2,0.3",
        WEBHOOK_TIMEOUT_SECONDS="1",
        WEBHOOK_LEASE_SECONDS="2",
    )


class TestRestart:
    async def test_retries_survive_it(self, own_place: Any, receiver: WebhookReceiver) -> None:
        slow_schedule = {"retry_schedule_seconds": (1.0, 1.0)}
        async with (
            own_place.running(**slow_schedule),
            own_place.asking() as tenants,
        ):
            tenant = tenants()
            endpoint = await tenant.endpoint(receiver.url)
            receiver.trust(endpoint["secret"])
            receiver.answer(Answer(500))
            (event_id,) = await tenant.contact_created()
            await receiver.wait_for_count(1)
        async with own_place.running(), own_place.asking() as tenants:
            got = await receiver.wait_for_count(2)
            assert [(r.id, r.signature_valid) for r in got] == [(event_id, True)] * 2
            delivery = await tenants(tenant.id).settled(endpoint)
            assert [a["status_code"] for a in delivery["attempt_log"]] == [500, 200]

    async def test_a_clean_stop_finishes_what_is_in_flight(
        self, own_place: Any, receiver: WebhookReceiver
    ) -> None:
        async with own_place.running(), own_place.asking() as tenants:
            tenant = tenants()
            endpoint = await tenant.endpoint(receiver.url)
            receiver.answer(Answer(delay=0.4))
            await tenant.contact_created()
            await receiver.wait_for_count(1)
        async with own_place.running(), own_place.asking() as tenants:
            (delivery,) = await tenants(tenant.id).deliveries(endpoint)
            assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
        assert not receiver.duplicates()


class TestKeyRotation:
    async def test_old_endpoints_sign_and_show_after_a_key_was_put_in_front(
        self, own_place: Any, receiver: WebhookReceiver
    ) -> None:
        async with own_place.running(), own_place.asking() as tenants:
            tenant = tenants()
            endpoint = await tenant.endpoint(receiver.url, headers={"Authorization": "Bearer x"})
            receiver.trust(endpoint["secret"])
        old = own_place.settings().encryption_key.get_secret_value()
        rotated = SecretStr(f"{Fernet.generate_key().decode()},{old}")
        async with own_place.running(encryption_key=rotated), own_place.asking() as tenants:
            tenant = tenants(tenant.id)
            await tenant.contact_created()
            (got,) = await receiver.wait_for_count(1)
            assert got.signature_valid
            assert got.headers["Authorization"] == "Bearer x"
            shown = await tenant.value(GetEndpoint(endpoint_id=endpoint["id"]))
            assert list(shown["headers"]) == ["Authorization"]


class TestCrash:
    async def test_what_was_in_flight_is_sent_again_under_the_same_id(
        self, own_place: Any, receiver: WebhookReceiver
    ) -> None:
        receiver.answer(*[Answer(hang=True)] * 50)
        async with working(own_place) as process:
            async with own_place.asking() as tenants:
                tenant = tenants()
                endpoint = await tenant.endpoint(receiver.url)
                receiver.trust(endpoint["secret"])
                sent = [await tenant.publish_contact_created() for _ in range(20)]
                await receiver.wait_for_count(2)
            process.kill()
            await process.wait()
        seen = {r.id for r in receiver.requests}
        receiver.reset()
        async with own_place.running():
            await receiver.wait_for_count(20)
        assert {r.id for r in receiver.requests} == set(sent) >= seen
        assert not receiver.duplicates()
        assert all(r.signature_valid for r in receiver.requests)

    async def test_a_replica_takes_over_in_order(
        self, own_place: Any, receiver: WebhookReceiver
    ) -> None:
        contacts = [uuid4() for _ in range(8)]
        sent: dict[UUID, list[str]] = {contact: [] for contact in contacts}
        receiver.default = Answer(delay=0.01)
        async with (
            working(own_place) as victim,
            own_place.asking(),  # it answers, so it came first and is the one that consumes
            own_place.running(),
            own_place.asking() as tenants,
        ):
            tenant = tenants()
            await tenant.endpoint(receiver.url)
            for turn in range(25):
                for contact in contacts:
                    sent[contact] += await tenant.contact_created(contact_id=contact)
                if turn == 12:
                    await until_all(receiver, 50)
                    victim.kill()
            await until_all(receiver, 200)
        for ids in sent.values():
            first_arrivals = [i for i in receiver.by_id if i in ids]
            assert first_arrivals == ids


async def until_all(receiver: WebhookReceiver, count: int) -> None:
    """Returns once that many different webhooks have come."""
    await receiver.wait_for(lambda _: len(receiver.by_id) >= count)


class TestDoubles:
    async def test_the_same_event_many_times_is_one_delivery_per_endpoint(
        self, place: Any, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        first = await tenant.endpoint(receiver.url_for("a"))
        second = await tenant.endpoint(receiver.url_for("b"))
        event_id = await tenant.publish_contact_created(times=100)
        last = await tenant.publish_contact_created()  # the queue is in order
        await receiver.wait_for_count(2, lambda r: r.id == last)
        for endpoint in (first, second):
            assert [d["event_id"] for d in await tenant.deliveries(endpoint)] == [last, event_id]
        assert receiver.by_id == {event_id: 2, last: 2}

    async def test_a_message_nobody_can_read_blocks_nobody(
        self, place: Any, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        await tenant.endpoint(receiver.url)
        await tenant.outside.publish_body(b"not json", event_type="contact.created")
        (event_id,) = await tenant.contact_created()
        await receiver.wait_for(lambda r: r.id == event_id)


VALID = f"00-{'a' * 32}-{'b' * 16}-01"


class TestTrace:
    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            (VALID, VALID),
            (VALID + "-later-versions-may-be-longer", None),
            ("x" * 5000, None),
            (f"00-{'0' * 32}-{'b' * 16}-01", None),
            (f"00-{'a' * 32}-{'0' * 16}-01", None),
            (VALID.upper(), None),
            ("00\x00", None),
            ("a\r\nX-Injected: 1", None),
            ("ção", None),
        ],
    )
    async def test_a_malformed_one_is_left_out_and_fails_no_event(
        self, tenant: Tenant, receiver: WebhookReceiver, given: str, sent: str | None
    ) -> None:
        await tenant.endpoint(receiver.url)
        event_id = await tenant.publish_traced("req", traceparent=given, tracestate="x" * 2000)
        got = await receiver.wait_for(lambda r: r.id == event_id)
        assert got.headers.get("traceparent") == sent

    @pytest.mark.parametrize(("given", "sent"), [("req-1", "req-1"), ("é", None), ("a\nb", None)])
    async def test_so_is_a_request_id_that_is_no_header(
        self, tenant: Tenant, receiver: WebhookReceiver, given: str, sent: str | None
    ) -> None:
        await tenant.endpoint(receiver.url)
        event_id = await tenant.publish_traced(given)
        got = await receiver.wait_for(lambda r: r.id == event_id)
        assert got.headers.get("X-Request-Id") == sent


class TestBacklog:
    async def test_what_does_not_fit_in_memory_goes_in_order_too(
        self, own_place: Any, receiver: WebhookReceiver
    ) -> None:
        async with (
            own_place.running(webhook_backlog=4),
            own_place.asking() as tenants,
        ):
            tenant = tenants()
            endpoint = await tenant.endpoint(receiver.url)
            contact_id = (await tenant.value(GetEndpoint(endpoint_id=endpoint["id"])))["id"]
            sent = await tenant.contact_created(contact_id=contact_id, count=80)
            await receiver.wait_for_count(80)
            assert [r.id for r in receiver.requests] == sent


class TestHopelessEndpoints:
    async def test_are_told_of_and_disabled_once_they_failed_long_often_and_in_many_hours(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(f"{receiver.url}?token=x", event_types=["contact.*"])
        await tenant.endpoint(receiver.url_for("ops"), event_types=["webhook.*"])

        async def failed(since: timedelta, deliveries: int, hours: int) -> dict[str, Any]:
            """One more delivery fails, after these; returns the endpoint."""
            async with service.database.tenant(tenant.id) as tx:
                await tx.execute(
                    "UPDATE webhook_endpoints SET failing_since = now() - $2::interval,"
                    " failed_deliveries = $3, failing_hours = $4,"
                    " failing_hour = date_trunc('hour', now()) WHERE id = $1",
                    endpoint["id"],
                    since,
                    deliveries,
                    hours,
                )
            receiver.answer(*[Answer(500)] * 4, path="/")
            (event_id,) = await tenant.contact_created()

            async def over() -> dict[str, Any] | None:
                shown = await tenant.value(GetEndpoint(endpoint_id=endpoint["id"]))
                newest = (await tenant.deliveries(endpoint))[:1]
                told = [(d["event_id"], d["status"]) for d in newest]
                given_up = told == [(event_id, "exhausted")]
                return shown if given_up or not shown["enabled"] else None

            found: dict[str, Any] = await eventually(over)
            return found

        for since, deliveries, hours in ((119, 100, 100), (121, 18, 100), (121, 100, 11)):
            assert (await failed(timedelta(hours=since), deliveries, hours))["enabled"]
        (told,) = await receiver.wait_for_count(1, lambda r: r.path == "/ops")
        data = told.json["data"]
        assert (told.type, data["percent"]) == ("webhook.endpoint_failing", 90)
        assert data["endpoint"]["url"].endswith("/")
        assert data["failed_deliveries"] == 101
        assert not (await failed(timedelta(hours=121), 100, 12))["enabled"]
        told = await receiver.wait_for(lambda r: r.type == "webhook.endpoint_disabled")
        assert told.json["data"]["endpoint"]["disabled_reason"] == "failing"

    async def test_one_success_begins_anew(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        receiver.answer(Answer(500))
        await tenant.contact_created()
        await tenant.settled(endpoint)
        async with service.database.tenant(tenant.id) as tx:
            await tx.execute(
                "UPDATE webhook_endpoints SET failed_deliveries = 100, failing_hours = 100,"
                " warned = 90 WHERE id = $1",
                endpoint["id"],
            )
        await tenant.contact_created()
        await tenant.settled(endpoint)
        receiver.answer(*[Answer(500)] * 4)
        await tenant.contact_created()
        await tenant.settled(endpoint, "exhausted")
        (row,) = await tenant.rows("SELECT failing_hours, warned FROM webhook_endpoints")
        assert row["failing_hours"] in (1, 2)  # an hour may just have begun
        assert row["warned"] == 0
