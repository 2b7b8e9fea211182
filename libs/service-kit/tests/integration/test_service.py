import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity
from crm_scratch import eventually
from crm_scratch.bus import RETRY_DELAYS, away, deleted, looking_into
from crm_scratch.things import (
    QUEUE,
    SCRATCH,
    TENANT,
    GetThing,
    MakeThing,
    get_thing,
    make_thing,
    store_deleted,
)
from crm_testing.servers import RabbitServer
from crm_testing.wire import Wire
from faststream.rabbit import RabbitBroker
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from service_kit import subscriptions
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.request_client import RequestClient
from service_kit.request_server import RequestServer
from service_kit.service import Service
from service_kit.settings import ServiceSettings
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted
from shared_events.requests import Principal

ME = Principal(tenant_id=TENANT)
MakeSettings = Callable[..., ServiceSettings]


def scratch(settings: ServiceSettings) -> Service:
    """A service that stores what it is asked to make, and every `channel.deleted` once more."""
    service = Service(SCRATCH, settings)
    service.on(QUEUE, ChannelDeleted, store_deleted)
    service.answer(MakeThing, make_thing)
    service.answer(GetThing, get_thing)
    return service


@asynccontextmanager
async def living(service: Service) -> AsyncIterator[AsyncClient]:
    """The service between its start and its stop; a client of its HTTP port."""
    async with (
        service.app.router.lifespan_context(service.app),
        AsyncClient(transport=ASGITransport(service.app), base_url="http://scratch") as http,
    ):
        yield http


async def ready(http: AsyncClient) -> bool:
    return (await http.get("/health/ready")).status_code == 200


async def down(http: AsyncClient) -> bool:
    return not await ready(http)


async def rows(service: Service) -> int:
    async with service.database.tenant(TENANT) as tx:
        return int(await tx.fetchval("SELECT count(*) FROM things"))


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[RequestClient]:
    client = RequestClient(url)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def made(client: RequestClient, name: str) -> bool:
    try:
        reply = await client.call(MakeThing(name=name), principal=ME, correlation_id="req-1")
    except Exception:  # not there yet, or not any more
        return False
    return reply.problem is None


_POOL_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'crm-scratch-pool' AND datname = current_database()"
)


class TestService:
    async def test_answers_publishes_and_consumes(
        self, make_settings: MakeSettings, vhost: str
    ) -> None:
        service = scratch(make_settings())
        async with living(service) as http, asking(vhost) as client:
            await eventually(lambda: ready(http))
            assert await made(client, "Zé")
            # One row by the command, one by the event that followed from it.
            await eventually(lambda: _has(service, 2))
            body = (await http.get("/health")).json()
            assert body["status"] == "healthy"
            assert body["checks"]["rabbitmq"] == {"healthy": True, "message": "Connected"}

    async def test_is_ready_only_when_it_answers(
        self, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bind, asked, gate = RequestServer.bind, asyncio.Event(), asyncio.Event()

        async def slow_bind(server: RequestServer, broker: RabbitBroker) -> None:
            asked.set()
            await gate.wait()
            await bind(server, broker)

        monkeypatch.setattr(RequestServer, "bind", slow_bind)
        async with living(scratch(make_settings())) as http:
            await asked.wait()
            checks = (await http.get("/health")).json()["checks"]
            assert [n for n, c in checks.items() if not c["healthy"]] == ["consuming"]
            assert not await ready(http)
            gate.set()
            await eventually(lambda: ready(http))

    async def test_is_only_degraded_without_temporal(self, make_settings: MakeSettings) -> None:
        service = scratch(make_settings(temporal_address="127.0.0.1:1"))
        async with living(service) as http:
            await eventually(lambda: ready(http))
            body = (await http.get("/health")).json()
        assert body["status"] == "degraded"
        assert not body["checks"]["temporal"]["healthy"]

    async def test_is_unhealthy_without_temporal_and_database(
        self, make_settings: MakeSettings
    ) -> None:
        settings = make_settings(
            temporal_address="127.0.0.1:1",
            database_url=SecretStr("postgresql://nobody:x@127.0.0.1:1/none"),
        )
        async with living(scratch(settings)) as http:
            response = await http.get("/health")
            assert (await http.get("/health/live")).status_code == 200
        assert (response.status_code, response.json()["status"]) == (503, "unhealthy")

    async def test_waits_for_its_schema(self, make_settings: MakeSettings, admin_url: str) -> None:
        admin = await asyncpg.connect(admin_url)
        await admin.execute("UPDATE scratch.alembic_version SET version_num = '0000'")
        async with living(scratch(make_settings())) as http:
            await asyncio.sleep(0.5)
            assert not await ready(http)
            # Looking again must not open a pool again.
            assert await admin.fetchval(_POOL_CONNECTIONS) == 1
            await admin.execute("UPDATE scratch.alembic_version SET version_num = '0001'")
            await eventually(lambda: ready(http))
        await admin.close()

    async def test_restarts_a_background_task_that_raises(
        self, make_settings: MakeSettings
    ) -> None:
        runs: list[int] = []

        async def fragile() -> None:
            runs.append(1)
            if len(runs) < 3:
                raise RuntimeError("again")
            await asyncio.Event().wait()

        service = scratch(make_settings())
        service.background("fragile", fragile)
        async with living(service):
            await eventually(lambda: len(runs) == 3)

    async def test_finishes_what_is_in_hand_when_it_stops(
        self, make_settings: MakeSettings, vhost: str
    ) -> None:
        service = scratch(make_settings())
        async with living(service) as http, looking_into(vhost) as bus:
            await eventually(lambda: ready(http))
            await eventually(lambda: _declared(vhost))
            await bus.send(*(deleted() for _ in range(300)))
        # Whatever was applied was acknowledged, and the rest is still in the queue.
        again = scratch(make_settings())
        async with living(again) as http:
            await eventually(lambda: ready(http))
            await eventually(lambda: _has(again, 300))
        async with looking_into(vhost) as bus:
            assert await bus.depth(QUEUE.dead_letters.name) == 0


class TestOnStop:
    async def test_is_called_last_added_first_when_nothing_runs_any_more(
        self, make_settings: MakeSettings, vhost: str
    ) -> None:
        service = scratch(make_settings())
        seen: list[str] = []

        async def busy() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("background")

        async def note_consumers() -> None:
            async with looking_into(vhost) as bus:
                seen.append(f"{await bus.consumers(QUEUE.name)} consumers")

        async def note_database() -> None:
            seen.append(f"{await rows(service)} rows")

        service.background("busy", busy)
        service.on_stop(note_database)
        service.on_stop(note_consumers)
        async with living(service) as http:
            await eventually(lambda: ready(http))
            await eventually(lambda: _consumed(vhost))
            assert seen == []
        assert seen == ["background", "0 consumers", "0 rows"]

    async def test_goes_on_to_the_next_when_one_raises(self, make_settings: MakeSettings) -> None:
        service = scratch(make_settings())
        called: list[int] = []

        async def note() -> None:
            called.append(1)

        async def fail() -> None:
            raise RuntimeError("already closed")

        service.on_stop(note)
        service.on_stop(fail)
        async with living(service):
            pass
        assert called == [1]


async def _has(service: Service, count: int) -> bool:
    return await rows(service) == count


async def _declared(url: str) -> bool:
    """Whether the whole topology is there: the delay queues come last."""
    async with looking_into(url) as bus:
        try:
            await bus.depth(f"retry.{int(RETRY_DELAYS[-1] * 1000)}ms")
        except Exception:  # the channel closes when the queue is not there
            return False
    return True


async def _consumed(url: str) -> bool:
    if not await _declared(url):
        return False
    async with looking_into(url) as bus:
        try:
            return await bus.consumers(QUEUE.name) == 1
        except ChannelNotFoundEntity:
            return False


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
            await eventually(lambda: ready(http), seconds=30)
            client = await life.enter_async_context(asking(mortal_vhost))
            await self._makes(client, service, 2)
            async with away(mortal_server, suddenly=True):
                await eventually(lambda: down(http))
                assert not await made(client, "meanwhile")
            await eventually(lambda: ready(http), seconds=30)
            await self._makes(client, service, 4)
        async with looking_into(mortal_vhost) as bus:
            assert await bus.depth(QUEUE.dead_letters.name) == 0

    async def test_between_connecting_and_consuming_doubles_no_consumer(
        self,
        make_settings: MakeSettings,
        admin_url: str,
        mortal_server: RabbitServer,
        mortal_vhost: str,
    ) -> None:
        admin = await asyncpg.connect(admin_url)
        await admin.execute("UPDATE scratch.alembic_version SET version_num = '0000'")
        service = scratch(make_settings(rabbitmq_url=SecretStr(mortal_vhost)))
        async with living(service) as http:
            await eventually(lambda: _declared(mortal_vhost), seconds=20)
            async with away(mortal_server, suddenly=True):
                await admin.execute("UPDATE scratch.alembic_version SET version_num = '0001'")
                await asyncio.wait_for(service.migrated.wait(), 10)
                await asyncio.sleep(0.5)  # it tries to consume, and cannot
            await eventually(lambda: ready(http), seconds=30)
            async with asking(mortal_vhost) as client:
                await self._makes(client, service, 2)
            async with looking_into(mortal_vhost) as bus:
                assert await bus.consumers(QUEUE.name) == 1
                for kind in ("queries", "commands"):
                    assert await bus.consumers(f"scratch.{kind}") == 1
        await admin.close()

    async def _makes(self, client: RequestClient, service: Service, expected: int) -> None:
        await eventually(lambda: made(client, "x"), seconds=30)
        await eventually(lambda: _has(service, expected), seconds=30)


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
            await eventually(lambda: _has(service, 2), seconds=30)
            await eventually(lambda: ready(http))

    async def test_with_a_queue_deleted_is_noticed_and_heals(
        self, make_settings: MakeSettings, vhost: str
    ) -> None:
        service = scratch(make_settings())
        async with living(service) as http, asking(vhost) as client:
            await eventually(lambda: ready(http))
            await eventually(lambda: _consumed(vhost))
            async with looking_into(vhost) as bus:
                await bus.channel.queue_delete(QUEUE.name)
            await eventually(lambda: _consumed(vhost), seconds=30)
            await eventually(lambda: made(client, "x"), seconds=30)
            await eventually(lambda: _has(service, 2))

    async def test_with_an_exchange_deleted_is_noticed_and_heals(
        self, make_settings: MakeSettings, vhost: str
    ) -> None:
        service = scratch(make_settings())
        async with living(service) as http, asking(vhost) as client:
            await eventually(lambda: ready(http))
            async with looking_into(vhost) as bus:
                await bus.channel.exchange_delete(topology.DOMAIN_EVENTS.name)
            await eventually(lambda: made(client, "x"), seconds=30)
            await eventually(lambda: _has(service, 2), seconds=30)


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
                await eventually(lambda: ready(http), seconds=30)
                await eventually(lambda: made(client, "x"), seconds=30)
                await eventually(lambda: _has(service, 2), seconds=30)


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
            await eventually(lambda: _has(service, 4))
