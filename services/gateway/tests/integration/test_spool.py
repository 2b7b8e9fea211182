import asyncio
import time
from contextlib import AsyncExitStack, suppress
from uuid import uuid4

import httpx
import orjson
import pytest
from crm_gateway.ingress.spool import SPOOLED
from crm_testing.servers import RabbitServer
from pydantic import SecretStr
from service_kit import bus
from service_kit.service import Service
from shared_events import topology
from shared_events.channels import ingress

from services.gateway.tests.integration.conftest import (
    MakeDatabase,
    RunGateway,
    http_client,
    until,
)
from services.gateway.tests.integration.waha_session import (
    WahaSession,
    consuming,
    spooled,
    take,
)


def waiting() -> float:
    """What the gauge tells of the spool."""
    (metric,) = SPOOLED.collect()
    return metric.samples[0].value


async def leave(service: Service, waha: WahaSession, headers: dict[str, str]) -> None:
    """A webhook in the spool, as a process that has ended left it."""
    tenant_id, channel_id = str(waha.address.tenant_id), waha.address.channel_id
    async with service.database.tenant(tenant_id) as tx:
        await tx.execute(
            "INSERT INTO ingress_spool (id, tenant_id, channel_id, event, body, headers)"
            " VALUES ($1, $2, $3, 'message', $4, $5)",
            uuid4(),
            tenant_id,
            channel_id,
            b'{"event":"message"}',
            {"channel_id": str(channel_id), **headers},
        )


class TestBrokerAway:
    @pytest.mark.parametrize("replicas", [1, 2])
    async def test_what_was_accepted_meanwhile_arrives_in_order(
        self,
        rabbitmq_outage: RabbitServer,
        run_gateway: RunGateway,
        make_database: MakeDatabase,
        replicas: int,
    ) -> None:
        """Through one gateway, or through two in turn."""
        vhost = await rabbitmq_outage.create_vhost("gateway")
        database_url = SecretStr(await make_database())
        addresses = [ingress.ChannelAddress(uuid4(), uuid4()) for _ in range(3)]
        async with AsyncExitStack() as stack:
            gateways = []
            for _ in range(replicas):
                service = await stack.enter_async_context(
                    run_gateway(vhost, database_url=database_url)
                )
                client = await stack.enter_async_context(http_client(service))
                gateways.append([WahaSession(service, client, address) for address in addresses])
            channels = gateways[0]
            sent = 0

            async def post_round() -> None:
                nonlocal sent
                body = orjson.dumps({"event": "message", "n": sent})
                turn = gateways[sent % replicas]
                responses = await asyncio.gather(*(waha.post(body) for waha in turn))
                assert [r.status_code for r in responses] == [200, 200, 200]
                sent += 1

            for _ in range(5):
                await post_round()
            await rabbitmq_outage.kill()
            for _ in range(20):
                await post_round()
            assert await spooled(service, channels[0]) >= 20
            starting = asyncio.create_task(rabbitmq_outage.start())

            async def drained() -> bool:
                await post_round()  # WAHA goes on while the broker comes back
                waiting = [await spooled(service, waha) for waha in channels]
                return starting.done() and sum(waiting) == 0

            await until(drained)
            await starting
            for _ in range(5):
                await post_round()
            async with consuming(vhost, topology.WAHA_MESSAGES) as arrived:

                def numbers(waha: WahaSession) -> list[int]:
                    found = [orjson.loads(m.body)["n"] for m in arrived if waha.owns(m)]
                    return list(dict.fromkeys(found))  # consumers know what came twice

                async def complete() -> bool:
                    return all(len(numbers(waha)) == sent for waha in channels)

                with suppress(TimeoutError):  # the comparison tells what is missing
                    await until(complete)
                for waha in channels:
                    assert numbers(waha) == list(range(sent))

    async def test_what_another_gateway_stored_unheard_goes_first(
        self, gateway: Service, client: httpx.AsyncClient
    ) -> None:
        heard, unheard = WahaSession(gateway, client), WahaSession(gateway, client)
        async with gateway.database.acquire() as connection:
            nobody_drains = "hashtextextended('gateway.ingress_spool', 0)"
            await connection.execute(f"SELECT pg_advisory_lock({nobody_drains})")
            await leave(gateway, heard, {"x-request-id": "r"})
            await connection.execute(
                "SELECT pg_notify('gateway_ingress_spool', $1)", str(heard.address.channel_id)
            )

            async def is_heard() -> bool:
                assert (await heard.post(b'{"event":"message"}')).status_code == 200
                return await spooled(gateway, heard) > 1

            await until(is_heard)
            await leave(gateway, unheard, {"x-request-id": "r"})
            assert (await unheard.post(b'{"event":"message"}')).status_code == 200
            assert await spooled(gateway, unheard) == 2
            await connection.execute(f"SELECT pg_advisory_unlock({nobody_drains})")

        async def drained() -> bool:
            return await spooled(gateway, unheard) == 0

        await until(drained)
        first, second = await take(gateway.settings.amqp_url, unheard, 2)
        assert first.headers["x-request-id"] == "r"
        assert second.headers["x-request-id"] != "r"

    async def test_the_first_in_a_while_is_answered_when_others_must_have_heard(
        self, rabbitmq_outage: RabbitServer, lone_gateway: Service, lone_client: httpx.AsyncClient
    ) -> None:
        waha = WahaSession(lone_gateway, lone_client)
        await rabbitmq_outage.kill()
        began = time.monotonic()
        assert (await waha.post(b'{"event":"message"}')).status_code == 200
        assert time.monotonic() - began >= 0.25

    async def test_many_at_once_are_stored_however_busy_the_database_is_otherwise(
        self, rabbitmq_outage: RabbitServer, lone_gateway: Service, lone_client: httpx.AsyncClient
    ) -> None:
        sessions = [WahaSession(lone_gateway, lone_client) for _ in range(20)]
        await rabbitmq_outage.kill()
        async with AsyncExitStack() as others:
            for _ in range(lone_gateway.settings.db_pool_size):
                await others.enter_async_context(lone_gateway.database.acquire())
            answers = await asyncio.gather(
                *(waha.post(b'{"event":"message"}') for waha in sessions * 10)
            )
        assert {answer.status_code for answer in answers} == {200}
        assert [await spooled(lone_gateway, waha) for waha in sessions] == [10] * 20

    async def test_a_channel_that_never_rests_goes_directly_again(
        self, rabbitmq_outage: RabbitServer, lone_gateway: Service, lone_client: httpx.AsyncClient
    ) -> None:
        waha = WahaSession(lone_gateway, lone_client)
        statuses: set[int] = set()
        posted = 0

        async def keep_posting() -> None:
            nonlocal posted
            while True:
                statuses.add((await waha.post(b'{"event":"message"}')).status_code)
                posted += 1

        async def empty() -> bool:
            return await spooled(lone_gateway, waha) == 0

        await rabbitmq_outage.kill()
        posters = [asyncio.create_task(keep_posting()) for _ in range(8)]
        await rabbitmq_outage.start()
        await until(empty)
        before = posted

        async def many_more() -> bool:
            return posted > before + 50

        await until(many_more)
        assert await empty()
        for poster in posters:
            poster.cancel()
        await asyncio.gather(*posters, return_exceptions=True)
        assert statuses == {200}

    async def test_what_an_ended_process_left_behind_is_published(
        self, gateway: Service, waha: WahaSession, client: httpx.AsyncClient
    ) -> None:
        await leave(gateway, waha, {"x-request-id": "r", "traceparent": "x" * 200_000})

        async def drained() -> bool:
            return await spooled(gateway, waha) == 0

        await until(drained)
        await take(gateway.settings.amqp_url, waha, 1)

    async def test_one_that_breaks_the_connection_is_set_aside_and_the_others_arrive(
        self,
        lone_gateway: Service,
        lone_client: httpx.AsyncClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(bus, "MAX_HEADER_CHARACTERS", 10**9)
        culprit, *others = [WahaSession(lone_gateway, lone_client) for _ in range(4)]
        await leave(lone_gateway, culprit, {"x-request-id": "r", "x-large": "a" * 200_000})
        for other in others:
            for _ in range(3):
                await leave(lone_gateway, other, {"x-request-id": "r"})

        async def others_arrived() -> bool:
            return [await spooled(lone_gateway, waha) for waha in others] == [0, 0, 0]

        await until(others_arrived)
        assert await spooled(lone_gateway, culprit) == 1
        assert (await culprit.post(b'{"event":"message"}')).status_code == 200
        assert await spooled(lone_gateway, culprit) == 1  # nothing waits behind it
        assert waiting() == 1

    async def test_the_gauge_tells_of_all_that_wait(
        self, rabbitmq_outage: RabbitServer, lone_gateway: Service, lone_client: httpx.AsyncClient
    ) -> None:
        waha = WahaSession(lone_gateway, lone_client)
        await rabbitmq_outage.kill()
        for _ in range(250):
            await leave(lone_gateway, waha, {"x-request-id": "r"})

        async def told() -> bool:
            return waiting() == 250

        await until(told)

    async def test_without_a_database_either_the_webhook_is_refused(
        self, rabbitmq_outage: RabbitServer, lone_gateway: Service, lone_client: httpx.AsyncClient
    ) -> None:
        waha = WahaSession(lone_gateway, lone_client)
        await rabbitmq_outage.kill()
        for pool in lone_gateway.pools:
            await pool.close()
        response = await waha.post(b'{"event":"message"}')
        assert response.status_code == 503
        assert response.json()["code"] == "nothing_durable"
        assert int(response.headers["retry-after"]) > 0
