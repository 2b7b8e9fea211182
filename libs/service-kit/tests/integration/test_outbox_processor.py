"""The outbox workflow with a real Temporal server."""

import asyncio
import functools
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from crm_scratch import eventually as eventually_within
from crm_scratch.bus import Bus
from crm_scratch.living import MakeSettings, living, ready, scratch
from crm_scratch.things import TENANT
from crm_testing.servers import TemporalServer
from service_kit.bus import Publisher
from service_kit.database import Database
from service_kit.outbox_processor import OutboxProcessor
from service_kit.outbox_workflow import OutboxProcessorInput, task_queue, workflow_id
from service_kit.relay import Drain, Relay, RelayOptions
from service_kit.settings import ServiceSettings
from service_kit.temporal import Temporal
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted
from shared_events.contacts.contact import ContactDeleted
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

eventually = functools.partial(eventually_within, seconds=45)
"""Temporal's development server is slow on a busy machine."""
SHORT_HISTORY = "limit.historyCount.suggestContinueAsNew=15"
BRIEF = OutboxProcessorInput(
    poll_interval=timedelta(milliseconds=10), window=timedelta(seconds=0.3)
)


class Watching(Relay):
    """A relay whose outbox is always empty, and that notes how it was driven."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        super().__init__(database, publisher)
        self.options_given: list[RelayOptions | None] = []
        self.looks = 0

    @asynccontextmanager
    async def standby(self, options: RelayOptions | None = None) -> AsyncIterator[Drain]:
        self.options_given.append(options)

        async def look() -> int:
            self.looks += 1
            return 0

        yield look


@pytest.fixture
async def client(temporal_server: TemporalServer) -> Client:
    return await Client.connect(temporal_server.url, data_converter=pydantic_data_converter)


@pytest.fixture
async def forgetful() -> AsyncIterator[WorkflowEnvironment]:
    """A server that finds fifteen events a long history."""
    beside = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=str(beside) if beside.exists() else shutil.which("temporal"),
        dev_server_extra_args=["--dynamic-config-value", SHORT_HISTORY],
    ) as environment:
        yield environment


@asynccontextmanager
async def processing(address: str, *processors: OutboxProcessor) -> AsyncIterator[None]:
    """These processors at work."""
    temporal = Temporal("test", address, ServiceSettings(crm_env="test"))
    for processor in processors:
        temporal.worker(processor.worker)
        temporal.beside(processor.keep)
    task = asyncio.create_task(temporal.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def runs(handle: WorkflowHandle[Any, Any], but: str | None = None) -> Callable[[], Awaitable[bool]]:
    """Whether the workflow runs, and in another run than this."""

    async def check() -> bool:
        try:
            found = await handle.describe()
        except RPCError:
            return False
        return found.status == WorkflowExecutionStatus.RUNNING and found.run_id != but

    return check


@pytest.fixture
def name() -> str:
    """A service of this test alone, on a server that many tests share."""
    return f"scratch-{uuid4().hex[:8]}"


class TestOutboxProcessor:
    async def test_works_for_its_own_service_only(
        self,
        database: Database,
        publisher: Publisher,
        temporal_server: TemporalServer,
        client: Client,
        name: str,
    ) -> None:
        ours, others = Watching(database, publisher), Watching(database, publisher)
        other = f"{name}-other"
        alone = client.get_workflow_handle(workflow_id(other))
        async with processing(temporal_server.url, OutboxProcessor(other, others, BRIEF)):
            await eventually(lambda: others.looks > 0)
        seen = others.looks
        # Its workflow goes on waiting, whoever else works on the same server.
        async with processing(temporal_server.url, OutboxProcessor(name, ours, BRIEF)):
            await eventually(lambda: len(ours.options_given) > 3)
        assert others.looks == seen
        assert (await alone.describe()).task_queue == task_queue(other) == f"outbox-queue-{other}"
        assert (await alone.describe()).status == WorkflowExecutionStatus.RUNNING
        await alone.terminate()

    async def test_uses_its_input(
        self,
        database: Database,
        publisher: Publisher,
        temporal_server: TemporalServer,
        name: str,
    ) -> None:
        relay = Watching(database, publisher)
        how = OutboxProcessorInput(
            batch_size=7,
            poll_interval=timedelta(milliseconds=20),
            max_retries=2,
            retry_backoff=timedelta(seconds=3),
            window=timedelta(seconds=0.3),
        )
        async with processing(temporal_server.url, OutboxProcessor(name, relay, how)):
            await eventually(lambda: len(relay.options_given) > 2)
        assert set(relay.options_given) == {RelayOptions(7, 0.02, 2, 3.0)}
        assert relay.looks > len(relay.options_given)

    async def test_begins_anew_with_new_settings_and_comes_back_when_ended(
        self,
        database: Database,
        publisher: Publisher,
        temporal_server: TemporalServer,
        client: Client,
        name: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("service_kit.outbox_processor._LOOK_SECONDS", 0.1)
        before, after = Watching(database, publisher), Watching(database, publisher)
        handle = client.get_workflow_handle(workflow_id(name))
        async with processing(temporal_server.url, OutboxProcessor(name, before, BRIEF)):
            await eventually(lambda: before.looks > 0)
        changed = BRIEF.model_copy(update={"batch_size": 3})
        async with processing(temporal_server.url, OutboxProcessor(name, after, changed)):
            await eventually(lambda: len(after.options_given) > 1)
            run = (await handle.describe()).run_id
            await handle.terminate("by an operator")
            await eventually(runs(handle, but=run))
        assert {given.batch_size for given in after.options_given if given} == {3}
        await handle.terminate()

    async def test_goes_on_in_a_new_run_when_its_history_grows(
        self, database: Database, publisher: Publisher, forgetful: WorkflowEnvironment, name: str
    ) -> None:
        relay = Watching(database, publisher)
        address = forgetful.client.service_client.config.target_host
        how = BRIEF.model_copy(update={"window": timedelta(seconds=0.05)})
        async with processing(address, OutboxProcessor(name, relay, how)):
            handle = forgetful.client.get_workflow_handle(workflow_id(name))
            await eventually(runs(handle))
            await eventually(runs(handle, but=(await handle.describe()).run_id))
            seen = len(relay.options_given)
            await eventually(lambda: len(relay.options_given) > seen + 3)


async def tell(database: Database, count: int) -> None:
    async with database.tenant(TENANT) as tx:
        for _ in range(count):
            aggregate = uuid4()
            tx.outbox.add(ChannelDeleted(channel_id=aggregate), aggregate)


async def published(database: Database) -> int:
    async with database.tenant(TENANT) as tx:
        return int(await tx.fetchval("SELECT count(processed_at) FROM outbox_events"))


class TestService:
    async def test_is_drained_while_no_relay_leads(
        self,
        make_settings: MakeSettings,
        temporal_server: TemporalServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(Relay, "run", lambda _: asyncio.Event().wait())
        settings = make_settings(temporal_address=temporal_server.url, outbox_poll_seconds=0.05)
        service = scratch(settings)
        async with living(service) as http:
            await eventually(lambda: ready(http))
            await tell(service.database, 250)

            async def all_published() -> bool:
                return await published(service.database) == 250

            await eventually(all_published)
            await eventually(lambda: ready(http))
            assert (await http.get("/health")).json()["checks"]["temporal"]["healthy"]

    async def test_looks_on_one_connection_however_often(
        self,
        make_settings: MakeSettings,
        temporal_server: TemporalServer,
        admin_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        opened: list[str] = []
        dedicated = Database.dedicated

        async def counted(database: Database, purpose: str) -> asyncpg.Connection:
            opened.append(purpose)
            return await dedicated(database, purpose)

        monkeypatch.setattr(Database, "dedicated", counted)
        settings = make_settings(temporal_address=temporal_server.url, outbox_poll_seconds=0.01)
        admin = await asyncpg.connect(admin_url)

        async def looked() -> bool:
            """Whether the drain's connection asked again since."""
            times.update(
                await admin.fetch(
                    "SELECT query_start FROM pg_stat_activity WHERE query_start IS NOT NULL"
                    " AND application_name = 'crm-scratch-drain' AND datname = current_database()"
                )
            )
            return len(times) > 20

        times: set[asyncpg.Record] = set()
        async with living(scratch(settings)):
            await eventually(looked)
        await admin.close()
        assert opened.count("drain") == 1


class TestStandby:
    async def test_parks_by_the_options_it_is_given(
        self, database: Database, publisher: Publisher, bus: Bus
    ) -> None:
        """After one attempt, though the relay's own options allow five."""
        await bus.exchange(topology.DOMAIN_EVENTS.name)
        await bus.exchange(topology.CONTACT_EVENTS.name)
        async with database.tenant(TENANT) as tx:
            contact = uuid4()
            tx.outbox.add(ContactDeleted(contact_id=contact), contact)
        relay = Relay(database, publisher)
        async with relay.standby(RelayOptions(max_retries=1)) as drain:
            assert await drain() == 0
        async with database.tenant(TENANT) as tx:
            assert await tx.fetchval("SELECT count(failed_at) FROM outbox_events") == 1
