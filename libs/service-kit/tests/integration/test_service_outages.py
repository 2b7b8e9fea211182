import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import asyncpg
import pytest
from crm_scratch import eventually
from crm_scratch.bus import away, deleted, looking_into
from crm_scratch.living import (
    ME,
    MakeSettings,
    asking,
    consumed,
    declared,
    down,
    has,
    living,
    made,
    ready,
    scratch,
)
from crm_scratch.things import (
    QUEUE,
    SCRATCH,
    TENANT,
    MakeThing,
    make_thing,
    store_deleted,
)
from crm_testing.servers import RabbitServer
from crm_testing.wire import Wire
from pydantic import SecretStr
from service_kit import consuming, subscriptions, supervision
from service_kit.calls import Call
from service_kit.consuming import NotConsumingError
from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.request_client import RequestClient
from service_kit.service import Service
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted
from shared_events.gateway.agent import AgentUpdated


class TestBrokerOutage:
    async def test_at_the_start_and_in_the_middle_loses_nothing(
        self, make_settings: MakeSettings, mortal_server: RabbitServer, mortal_vhost: str
    ) -> None:
        service = scratch(make_settings(rabbitmq_url=SecretStr(mortal_vhost)))
        async with AsyncExitStack() as life:
            async with away(mortal_server, suddenly=True):
                http = await life.enter_async_context(living(service))
                await asyncio.sleep(1)
                assert (await http.get("/health")).json()["status"] == "unhealthy"
            await eventually(lambda: ready(http))
            client = await life.enter_async_context(asking(mortal_vhost))
            await self._makes(client, service, 2)
            async with away(mortal_server, suddenly=True):
                await eventually(lambda: down(http))
                assert not await made(client, "meanwhile")
            await eventually(lambda: ready(http))
            await self._makes(client, service, 4, "after")
        async with looking_into(mortal_vhost) as bus:
            assert await bus.depth(QUEUE.dead_letters.name) == 0

    async def test_between_connecting_and_consuming_doubles_no_consumer(
        self,
        make_settings: MakeSettings,
        admin_url: str,
        mortal_server: RabbitServer,
        mortal_vhost: str,
    ) -> None:
        await self._migrate(admin_url, "0000")
        service = scratch(make_settings(rabbitmq_url=SecretStr(mortal_vhost)))
        async with living(service) as http:
            await eventually(lambda: declared(mortal_vhost))
            async with away(mortal_server, suddenly=True):
                await self._migrate(admin_url, "0001")
                await asyncio.wait_for(service.migrated.wait(), 60)
                await asyncio.sleep(0.5)  # it tries to consume, and cannot
            await eventually(lambda: ready(http))
            async with asking(mortal_vhost) as client:
                await self._makes(client, service, 2)
            async with looking_into(mortal_vhost) as bus:
                # A quorum queue's consumers are counted seconds late.
                await eventually(lambda: consumed(mortal_vhost))
                for kind in ("queries", "commands"):
                    assert await bus.consumers(f"scratch.{kind}") == 1

    async def _migrate(self, admin_url: str, revision: str) -> None:
        admin = await asyncpg.connect(admin_url)
        await admin.execute("UPDATE scratch.alembic_version SET version_num = $1", revision)
        await admin.close()

    async def _makes(
        self, client: RequestClient, service: Service, expected: int, name: str = "before"
    ) -> None:
        await eventually(lambda: made(client, name))
        await eventually(lambda: has(service, expected))


class TestBusLost:
    """The broker answers, but is not what it was."""

    async def test_with_the_virtual_host_made_anew_heals_and_delivers_what_was_accepted(
        self, make_settings: MakeSettings, mortal_server: RabbitServer, mortal_vhost: str
    ) -> None:
        service = scratch(make_settings(rabbitmq_url=SecretStr(mortal_vhost)))
        async with living(service) as http:
            await eventually(lambda: ready(http))
            await mortal_server.delete_vhost(mortal_vhost)
            await eventually(lambda: down(http))
            async with service.database.tenant(TENANT) as tx:
                await make_thing(tx, MakeThing(name="accepted meanwhile"), Call(ME, "req-1"))
            await mortal_server.restore_vhost(mortal_vhost)
            # The thing, and the one made by the event that tells of it.
            await eventually(lambda: has(service, 2))
            await eventually(lambda: ready(http))

    async def test_with_a_queue_deleted_is_noticed_and_heals(
        self, make_settings: MakeSettings, vhost: str
    ) -> None:
        # FastStream's subscriber would bind the first key alone.
        queue = topology.EventQueue(
            "scratch.two_keys",
            topology.DOMAIN_EVENTS,
            [AgentUpdated.event_type, ChannelDeleted.event_type],
            service=SCRATCH,
        )
        service = Service(SCRATCH, make_settings())
        service.on(queue, ChannelDeleted, store_deleted)
        service.ignore(queue, AgentUpdated)
        service.answer(MakeThing, make_thing)
        async with living(service) as http, asking(vhost) as client:
            await eventually(lambda: ready(http))
            await eventually(lambda: consumed(vhost, queue))
            async with looking_into(vhost) as bus:
                await bus.channel.queue_delete(queue.name)
            await eventually(lambda: consumed(vhost, queue))
            await eventually(lambda: made(client, "x"))
            await eventually(lambda: has(service, 2))

    async def test_with_an_exchange_deleted_is_noticed_and_heals(
        self, make_settings: MakeSettings, vhost: str
    ) -> None:
        service = scratch(make_settings())
        async with living(service) as http, asking(vhost) as client:
            await eventually(lambda: ready(http))
            async with looking_into(vhost) as bus:
                await bus.channel.exchange_delete(topology.DOMAIN_EVENTS.name)
            await eventually(lambda: made(client, "x"))
            await eventually(lambda: has(service, 2))


class TestConsumingRestarted:
    async def test_over_and_over_under_load_loses_and_doubles_nothing(
        self, make_settings: MakeSettings, vhost: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supervision, "_LONGEST_PAUSE_SECONDS", 0.05)
        service, restarts = scratch(make_settings(consumer_batch_size=10)), 0
        over = asyncio.Event()

        async def unlucky(*_: object) -> None:
            nonlocal restarts
            if restarts == 10:
                over.set()
            else:
                restarts += 1
                raise NotConsumingError("so it seems")

        monkeypatch.setattr(consuming.Look, "__call__", unlucky)
        async with living(service), looking_into(vhost) as bus:
            await eventually(lambda: consumed(vhost))
            for _ in range(30):
                await bus.send(*(deleted() for _ in range(10)))
            async with asyncio.timeout(60):
                await over.wait()
            await eventually(lambda: has(service, 300))
        async with looking_into(vhost) as bus:
            assert await bus.depth(QUEUE.name) == 0
            assert await bus.depth(QUEUE.dead_letters.name) == 0


class TestSilentBroker:
    async def test_is_left_for_another_connection(
        self, make_settings: MakeSettings, vhost: str
    ) -> None:
        async with Wire(vhost) as wire:
            service = scratch(make_settings(rabbitmq_url=SecretStr(wire.url)))
            async with living(service) as http, asking(vhost) as client:
                await eventually(lambda: ready(http))
                wire.fall_silent()
                await eventually(lambda: down(http))
                await eventually(lambda: ready(http))
                await eventually(lambda: made(client, "x"))
                await eventually(lambda: has(service, 2))


class TestStuckConsumer:
    async def test_is_told_by_health(
        self, make_settings: MakeSettings, vhost: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = asyncio.Event()

        async def wait(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            await gate.wait()

        monkeypatch.setattr(subscriptions, "STUCK_SECONDS", 0.2)
        service = Service(SCRATCH, make_settings())
        service.on(QUEUE, ChannelDeleted, wait)
        async with living(service) as http, looking_into(vhost) as bus:
            await eventually(lambda: ready(http))
            await bus.send(deleted())
            await eventually(lambda: down(http))
            checks = (await http.get("/health")).json()["checks"]
            assert [name for name, check in checks.items() if not check["healthy"]] == ["consuming"]
            gate.set()
            await eventually(lambda: ready(http))


class TestDatabaseOutage:
    async def test_is_survived_by_reconnecting(
        self, make_settings: MakeSettings, admin_url: str, vhost: str
    ) -> None:
        service = scratch(make_settings())
        async with living(service) as http, asking(vhost) as client:
            await eventually(lambda: ready(http))
            await eventually(lambda: made(client, "before"))
            admin = await asyncpg.connect(admin_url)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await admin.close()
            await eventually(lambda: made(client, "after"))
            await eventually(lambda: has(service, 4))
