import asyncio
from typing import Any

import asyncpg
import pytest
from crm_scratch import eventually
from crm_scratch.bus import deleted, looking_into
from crm_scratch.living import (
    MakeSettings,
    asking,
    consumed,
    declared,
    has,
    living,
    made,
    ready,
    rows,
    scratch,
)
from crm_scratch.things import (
    QUEUE,
)
from crm_testing.servers import RabbitServer
from faststream.rabbit import RabbitBroker
from pydantic import SecretStr
from service_kit.request_server import RequestServer

_POOL_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'crm-scratch-pool' AND datname = current_database()"
)

_LOOKS = (
    "SELECT query_start FROM pg_stat_activity"
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
            await eventually(lambda: has(service, 2))
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
            looks: set[asyncpg.Record] = set()

            async def looked_again() -> bool:
                looks.update(await admin.fetch(_LOOKS))
                return len(looks) > 2

            await eventually(looked_again)
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
            await eventually(lambda: declared(vhost))
            await bus.send(*(deleted() for _ in range(300)))
        # Whatever was applied was acknowledged, and the rest is still in the queue.
        again = scratch(make_settings())
        async with living(again) as http:
            await eventually(lambda: ready(http))
            await eventually(lambda: has(again, 300))
        async with looking_into(vhost) as bus:
            assert await bus.depth(QUEUE.dead_letters.name) == 0


class TestConsumers:
    async def test_have_each_a_channel_with_a_limit_of_its_own(
        self, make_settings: MakeSettings, vhost: str, rabbitmq_server: RabbitServer
    ) -> None:
        """On one channel, acknowledging many at once would acknowledge each other's messages."""
        service = scratch(make_settings(consumer_batch_size=30))
        async with living(service) as http, rabbitmq_server.management() as management:
            await eventually(lambda: ready(http))
            consumers: dict[str, Any] = {}

            async def seen() -> bool:
                found = await management.get(f"/api/consumers/{vhost.rpartition('/')[2]}")
                consumers.update({c["queue"]["name"]: c for c in found.json()})
                # The management API knows the channels a little later than the consumers.
                return len(consumers) == 3 and all(
                    isinstance(c["channel_details"], dict) for c in consumers.values()
                )

            await eventually(seen)
            assert len({c["channel_details"]["number"] for c in consumers.values()}) == 3
            assert consumers[QUEUE.name]["prefetch_count"] == 300


class TestOnStop:
    async def test_is_called_last_added_first_when_nothing_runs_any_more(
        self, make_settings: MakeSettings, vhost: str, monkeypatch: pytest.MonkeyPatch
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

                async def gone() -> bool:  # RabbitMQ counts them late
                    return await bus.consumers(QUEUE.name) == 0

                await eventually(gone)
                seen.append("0 consumers")

        async def note_database() -> None:
            seen.append(f"{await rows(service)} rows")

        monkeypatch.setattr("service_kit.service._ON_STOP_SECONDS", 60.0)
        service.background("busy", busy)
        service.on_stop(note_database)
        service.on_stop(note_consumers)
        async with living(service) as http:
            await eventually(lambda: ready(http))
            await eventually(lambda: consumed(vhost))
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
