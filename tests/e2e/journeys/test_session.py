"""Journey C: a conversation lives while somebody writes and ends exactly once."""

import asyncio
import time
from typing import Any

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually
from e2e.stack import SERVICES, Platform

PHONE = "5511955550001"
TIMEOUT = 6
TERMINAL = {"session.closed", "session.expired"}


async def ended(tenant: Tenant, session_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        session: dict[str, Any] = await tenant.get(f"/sessions/{session_id}")
        return session if session["status"] != "active" else None

    return await eventually(look, "ended session", every=0.1)


class TestSilence:
    async def test_ends_a_session_once_and_only_after_the_last_message(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        channel = await tenant.channel(waha, session_timeout_seconds=TIMEOUT)
        await tenant.endpoint(receiver, "session.*")
        for number in range(4):
            if number:  # the rhythm under test, not a wait for something
                await asyncio.sleep(0.4 * TIMEOUT)
            last_written = time.monotonic()
            await waha.receive_text(channel.waha_session, PHONE, f"ainda aqui {number}")
        await tenant.message_count(4)
        [session] = await tenant.rows("/sessions")
        assert (session["status"], session["total_messages"]) == ("active", 4)

        over = await ended(tenant, session["id"])
        assert over["status"] == "expired" and over["end_reason"] == "inactivity"
        assert time.monotonic() - last_written >= TIMEOUT - 0.2
        await receiver.wait_for(lambda r: r.type in TERMINAL)
        assert [r.type for r in receiver.requests if r.type in TERMINAL] == ["session.expired"]

    async def test_opens_a_new_session_for_the_next_message(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha, session_timeout_seconds=1)
        await waha.receive_text(channel.waha_session, PHONE, "primeira conversa")
        [message] = await tenant.message_count(1)
        await ended(tenant, message["session_id"])
        await waha.receive_text(channel.waha_session, PHONE, "segunda conversa")
        first, second = await tenant.message_count(2)
        assert first["session_id"] != second["session_id"]
        assert first["contact_id"] == second["contact_id"]


class TestClose:
    async def test_by_an_agent_is_immediate_and_repeatable(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        channel = await tenant.channel(waha, session_timeout_seconds=8)
        await tenant.endpoint(receiver, "session.*")
        await waha.receive_text(channel.waha_session, PHONE, "resolvido, obrigada")
        [message] = await tenant.message_count(1)
        path = f"/sessions/{message['session_id']}"
        closed = await tenant.post(f"{path}/close", {"reason": "resolved"}, expect=200)
        assert (closed["status"], closed["end_reason"]) == ("closed", "resolved")
        again = await tenant.post(f"{path}/close", {"reason": "spam"}, expect=200)
        assert again == closed
        await receiver.wait_for(lambda r: r.type == "session.closed")

        await waha.receive_text(channel.waha_session, PHONE, "mais uma coisa")
        await tenant.message_count(2)
        second = (await tenant.rows("/sessions", status="active"))[0]
        await ended(tenant, second["id"])
        await receiver.wait_for(lambda r: r.type == "session.expired")
        of_first = [
            r.type
            for r in receiver.requests
            if r.type in TERMINAL and r.json["data"]["session"]["id"] == closed["id"]
        ]
        assert of_first == ["session.closed"]

    async def test_of_an_assigned_session_keeps_its_agent(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        await waha.receive_text(channel.waha_session, PHONE, "quero falar com alguém")
        [message] = await tenant.message_count(1)
        path = f"/sessions/{message['session_id']}"
        body = {"agent_id": tenant.user_id}
        assigned = await tenant.post(f"{path}/assign", body, expect=200)
        assert assigned["assigned_agent_id"] == tenant.user_id
        again = await tenant.post(f"{path}/assign", body, expect=200)
        assert again["version"] == assigned["version"]
        mine = await tenant.rows("/sessions", assigned_agent_id="me")
        assert [s["id"] for s in mine] == [message["session_id"]]
        await tenant.post(f"{path}/close", expect=200)
        await tenant.post(f"{path}/assign", {"agent_id": None}, expect=409)


class TestBusyConversation:
    async def test_of_500_messages_sends_temporal_no_signal(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        await asyncio.gather(
            *(
                waha.receive_text(channel.waha_session, PHONE, f"linha {number}")
                for number in range(500)
            )
        )
        messages = await tenant.message_count(500)
        workflow_id = f"session-{messages[0]['session_id']}"

        async def started() -> bool:
            return await platform.workflow_status(workflow_id) == "RUNNING"

        await eventually(started, "workflow of the session")
        events = await platform.workflow_events(workflow_id)
        assert not [event for event in events if "SIGNALED" in event]
        assert len(events) <= 16


class TestWithoutTemporal:
    async def test_messages_flow_and_the_sweep_ends_sessions_until_workflows_return(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha, session_timeout_seconds=2)
        lasting = await tenant.channel(waha, session_timeout_seconds=600)
        await platform.crm_dev("stop", "temporal")
        try:
            await platform.healthy(status="degraded")
            assert {(await platform.health(name))[0] for name in SERVICES} == {200}
            await waha.receive_text(channel.waha_session, PHONE, "sem temporal")
            await waha.receive_text(lasting.waha_session, PHONE, "conversa longa")
            messages = await tenant.message_count(2)
            short = next(m for m in messages if m["content"] == "sem temporal")
            over = await ended(tenant, short["session_id"])
            assert over["status"] == "expired"
        finally:
            await platform.crm_dev("start", "temporal")
        await platform.healthy()
        long = next(m for m in messages if m["content"] == "conversa longa")

        async def workflow_runs() -> bool:
            return await platform.workflow_status(f"session-{long['session_id']}") == "RUNNING"

        await eventually(workflow_runs, "workflow of the open session", every=0.5)


class TestOutboxes:
    @pytest.mark.parametrize("service", SERVICES)
    async def test_have_each_a_workflow_of_their_own(
        self, platform: Platform, service: str
    ) -> None:
        workflow_id = f"outbox-processor-{service}"

        async def works() -> bool:
            if await platform.workflow_status(workflow_id) != "RUNNING":
                return False
            events = await platform.workflow_events(workflow_id)
            return "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED" in events  # a worker took it up

        await eventually(works, f"outbox workflow of {service}", every=0.5)
