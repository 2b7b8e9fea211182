"""Sessions and the outbox with a real Temporal server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from crm_messaging.app import create_service
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.sessions.schemas import workflow_id
from crm_messaging.sessions.workflow import SessionLifecycleWorkflow
from crm_messaging.settings import MessagingSettings
from crm_testing.scenes.messaging import Scene
from crm_testing.servers import TemporalServer, running_temporal
from crm_testing.services import Company, Outside, eventually, running
from service_kit.service import Service
from shared_events.messaging.session import CloseSession
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

MakeSettings = Callable[..., MessagingSettings]
ENDS = {"session.closed", "session.expired"}


@pytest.fixture
async def client(temporal_server: TemporalServer) -> Client:
    return await Client.connect(temporal_server.url, data_converter=pydantic_data_converter)


@pytest.fixture
async def service(
    make_settings: MakeSettings, temporal_server: TemporalServer, client: Client
) -> AsyncIterator[Service]:
    """Messaging at work, without any session of an earlier test."""
    settings = make_settings(temporal_address=temporal_server.url)
    async with running(create_service(settings)) as service:
        await eventually(lambda: healthy(service))
        yield service


async def healthy(service: Service) -> bool:
    return (await service.health.status())[0] == "healthy"


async def opened(scene: Scene, *, timeout_seconds: int = 1800) -> UUID:
    """A session with one message, whose channel has this timeout."""
    channel = scene.channel.model_copy(update={"session_timeout_seconds": timeout_seconds})
    await scene.apply(on_message_received, scene.received(channel=channel))
    session_id: UUID = (await scene.sessions())[-1]["id"]
    return session_id


def workflow_of(client: Client, session_id: UUID) -> WorkflowHandle[Any, Any]:
    return client.get_workflow_handle(workflow_id(session_id))


async def status(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus | None:
    try:
        return (await handle.describe()).status
    except RPCError:
        return None


async def becomes(handle: WorkflowHandle[Any, Any], wanted: WorkflowExecutionStatus) -> None:
    async def reached() -> bool:
        return await status(handle) == wanted

    await eventually(reached)


async def ended_as(scene: Scene) -> tuple[str, str]:
    """Status and reason of the only session, after exactly one terminal event."""
    (session,) = await scene.sessions()
    assert len([event for event in await scene.told() if event in ENDS]) == 1
    return session["status"], session["end_reason"]


class TestSessionLifecycle:
    async def test_silence_expires_the_session(
        self, service: Service, scene: Scene, client: Client
    ) -> None:
        handle = workflow_of(client, await opened(scene, timeout_seconds=1))
        await becomes(handle, WorkflowExecutionStatus.COMPLETED)
        assert await ended_as(scene) == ("expired", "inactivity")

    async def test_messages_keep_it_open_without_a_signal(
        self, service: Service, scene: Scene, client: Client
    ) -> None:
        session_id = await opened(scene, timeout_seconds=3)
        handle = workflow_of(client, session_id)
        for _ in range(3):
            await asyncio.sleep(1.1)
            assert await opened(scene, timeout_seconds=3) == session_id
        await becomes(handle, WorkflowExecutionStatus.COMPLETED)
        assert await ended_as(scene) == ("expired", "inactivity")
        history = await handle.fetch_history()
        kinds = [event.WhichOneof("attributes") for event in history.events]
        assert not [kind for kind in kinds if kind and "signaled" in kind]

    async def test_half_an_hour_passes_in_no_time(
        self, service: Service, scene: Scene, client: Client
    ) -> None:
        handle = workflow_of(client, await opened(scene))
        await becomes(handle, WorkflowExecutionStatus.RUNNING)
        await TimeSkipper(client).fast_forward(handle, timedelta(minutes=31))
        await becomes(handle, WorkflowExecutionStatus.COMPLETED)
        assert await ended_as(scene) == ("expired", "inactivity")

    async def test_signal_closes_with_its_reason(
        self, service: Service, scene: Scene, client: Client
    ) -> None:
        handle = workflow_of(client, await opened(scene))
        await becomes(handle, WorkflowExecutionStatus.RUNNING)
        await handle.signal(SessionLifecycleWorkflow.new_message)
        await handle.signal(SessionLifecycleWorkflow.close_session, "spam")
        await becomes(handle, WorkflowExecutionStatus.COMPLETED)
        assert await ended_as(scene) == ("closed", "spam")

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"Reason": "resolved"}, "resolved"),
            ({"reason": "resolved"}, "resolved"),
            ("", "closed"),
            ("  ", "closed"),
            ({}, "closed"),
            (None, "closed"),
            (7, "closed"),
        ],
    )
    async def test_signal_closes_whatever_it_says(
        self, service: Service, scene: Scene, client: Client, given: Any, reason: str
    ) -> None:
        handle = workflow_of(client, await opened(scene))
        await becomes(handle, WorkflowExecutionStatus.RUNNING)
        await handle.signal("close_session", given)
        await becomes(handle, WorkflowExecutionStatus.COMPLETED)
        assert await ended_as(scene) == ("closed", reason)

    async def test_cancelling_closes(self, service: Service, scene: Scene, client: Client) -> None:
        handle = workflow_of(client, await opened(scene))
        await becomes(handle, WorkflowExecutionStatus.RUNNING)
        await handle.cancel()
        await becomes(handle, WorkflowExecutionStatus.CANCELED)
        assert await ended_as(scene) == ("closed", "cancelled")

    async def test_closing_by_request_ends_the_workflow_too(
        self, service: Service, scene: Scene, client: Client
    ) -> None:
        session_id = await opened(scene)
        handle = workflow_of(client, session_id)
        await becomes(handle, WorkflowExecutionStatus.RUNNING)
        async with Outside(service.settings.amqp_url) as outside:
            company = Company(service.database, outside, id=scene.tenant_id)
            await company.value(CloseSession(session_id=session_id))
        await becomes(handle, WorkflowExecutionStatus.COMPLETED)
        assert await ended_as(scene) == ("closed", "resolved")


class TestLostWorkflow:
    @pytest.fixture
    async def settings(
        self, make_settings: MakeSettings, temporal_server: TemporalServer
    ) -> MessagingSettings:
        """Sessions are looked for often."""
        return make_settings(temporal_address=temporal_server.url, session_check_seconds=0.2)

    async def test_is_started_anew_while_its_session_is_active(
        self, settings: MessagingSettings, scene: Scene, client: Client
    ) -> None:
        async with running(create_service(settings)):
            session_id = await opened(scene)
            handle = workflow_of(client, session_id)
            await becomes(handle, WorkflowExecutionStatus.RUNNING)
            lost = (await handle.describe()).run_id
            await scene.silence(1799)
            await handle.terminate("by mistake")

            async def anew() -> bool:
                return (await handle.describe()).run_id != lost

            await eventually(anew)
            # It knows the deadline of a second later, though the sweep's grace is a minute.
            await becomes(handle, WorkflowExecutionStatus.COMPLETED)
        assert await ended_as(scene) == ("expired", "inactivity")

    async def test_is_not_started_for_a_session_that_has_ended(
        self, settings: MessagingSettings, scene: Scene, client: Client
    ) -> None:
        async with running(create_service(settings)):
            ended = workflow_of(client, await opened(scene, timeout_seconds=1))
            await becomes(ended, WorkflowExecutionStatus.COMPLETED)
            run = (await ended.describe()).run_id
            # The sweep has gone on: a session opened later has lost and found its workflow.
            handle = workflow_of(client, await opened(scene))
            await becomes(handle, WorkflowExecutionStatus.RUNNING)
            await handle.terminate("by mistake")
            await becomes(handle, WorkflowExecutionStatus.RUNNING)
            assert (await ended.describe()).run_id == run
            await handle.terminate()


class TestWithoutTemporal:
    async def test_degraded_sessions_still_expire_and_workflows_come_when_it_does(
        self, scene: Scene, make_settings: MakeSettings
    ) -> None:
        async with running_temporal() as server:
            await server.kill()
            settings = make_settings(temporal_address=server.url, session_sweep_grace_seconds=0.1)
            async with running(create_service(settings)) as service:
                await opened(scene, timeout_seconds=1)

                async def expired() -> bool:
                    return all(s["status"] == "expired" for s in await scene.sessions())

                await eventually(expired)
                state, checks = await service.health.status()
                assert state == "degraded"
                missing = {name for name, check in checks.items() if not check["healthy"]}
                assert {"temporal"} <= missing <= {"temporal", "tasks"}

                waiting = await opened(scene)
                await server.start()
                client = await Client.connect(server.url, data_converter=pydantic_data_converter)
                handle = workflow_of(client, waiting)
                await becomes(handle, WorkflowExecutionStatus.RUNNING)

                await server.kill()
                await opened(scene, timeout_seconds=0)
                await eventually(expired)
                meanwhile = await opened(scene)
                await server.start()
                await becomes(workflow_of(client, meanwhile), WorkflowExecutionStatus.RUNNING)
                assert [e for e in await scene.told() if e in ENDS] == ["session.expired"] * 2
