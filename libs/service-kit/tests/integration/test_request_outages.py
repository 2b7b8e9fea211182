import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from crm_scratch import eventually
from crm_scratch.asking import LookOutside, ask, code
from crm_scratch.bus import Bus
from crm_scratch.things import (
    GetThing,
    MakeThing,
    WaitForThing,
)
from crm_testing.servers import RabbitServer
from crm_testing.services import SIGNATURES, answering
from crm_testing.wire import Wire
from faststream.rabbit import RabbitBroker
from service_kit.errors import DeadlineError, ProblemError, UnavailableError
from service_kit.request_client import RequestClient
from service_kit.request_server import RequestServer
from service_kit.supervision import Supervisor
from shared_events import topology
from shared_events.requests import Reply

PATIENT = 200.0
"""Seconds until the deadline of a call that shall end before it: the test's own end is nearer."""


class TestAbsence:
    async def test_of_the_service_is_told_at_once(self, client: RequestClient) -> None:
        async with asyncio.timeout(PATIENT / 4):
            with pytest.raises(UnavailableError) as raised:
                await ask(client, MakeThing(name="x"), timeout=PATIENT)
        assert raised.value.problem.code == "service_unavailable"

    async def test_of_the_exchange_is_told_too(self, client: RequestClient, bus: Bus) -> None:
        await bus.channel.exchange_delete(topology.CRM_REQUESTS.name)
        with pytest.raises(UnavailableError):
            await ask(client, MakeThing(name="x"))
        await bus.exchange(topology.CRM_REQUESTS.name)  # and the client recovers
        with pytest.raises(UnavailableError) as raised:
            await ask(client, MakeThing(name="x"))
        assert raised.value.problem.code == "service_unavailable"

    async def test_of_a_connection_is_told_at_once(self, vhost: str) -> None:
        with pytest.raises(UnavailableError):
            await ask(RequestClient(vhost, SIGNATURES), MakeThing(name="x"))

    async def test_ends_a_call_in_flight_when_the_client_stops(
        self, serving: RabbitBroker, vhost: str, at_the_gate: list[str]
    ) -> None:
        client = RequestClient(vhost, SIGNATURES)
        await client.start()
        waiting = asyncio.create_task(ask(client, WaitForThing(), timeout=PATIENT))
        await eventually(lambda: len(at_the_gate) == 1)
        await client.stop()
        with pytest.raises(DeadlineError):
            await waiting

    async def test_of_a_service_that_stopped_is_told_at_once(
        self, serving: RabbitBroker, client: RequestClient
    ) -> None:
        assert (await ask(client, MakeThing(name="x"))).problem is None
        await serving.stop()
        async with asyncio.timeout(PATIENT / 4):
            with pytest.raises(UnavailableError) as raised:
                await ask(client, MakeThing(name="x"), timeout=PATIENT)
        assert raised.value.problem.code == "service_unavailable"


class TestStop:
    async def test_finishes_what_is_being_answered(
        self,
        serving: RabbitBroker,
        client: RequestClient,
        gate: asyncio.Event,
        at_the_gate: list[str],
    ) -> None:
        waiting = asyncio.create_task(ask(client, WaitForThing(), timeout=PATIENT))
        await eventually(lambda: len(at_the_gate) == 1)
        stopping = asyncio.create_task(serving.stop())
        await asyncio.sleep(0.2)
        gate.set()
        assert (await waiting).value is not None
        await stopping

    async def test_of_one_of_two_replicas_loses_no_query(
        self,
        server: RequestServer,
        client: RequestClient,
        vhost: str,
        gate: asyncio.Event,
        at_the_gate: list[str],
    ) -> None:
        async with answering(server, vhost) as leaving, answering(server, vhost):
            slow = [
                asyncio.create_task(ask(client, LookOutside(), timeout=PATIENT)) for _ in range(2)
            ]
            await eventually(lambda: len(at_the_gate) == 2)
            stopping = asyncio.create_task(leaving.stop())
            queries = []
            for _ in range(60):
                query = ask(client, GetThing(thing_id=uuid4()), timeout=PATIENT)
                queries.append(asyncio.create_task(query))
                await asyncio.sleep(0.01)
            answered = await asyncio.gather(*queries, return_exceptions=True)
            gate.set()
            replies = [reply for reply in answered if isinstance(reply, Reply)]
            assert len(replies) == 60
            assert {code(reply) for reply in replies} == {("not_found", "thing_not_found")}
            assert all(reply.value for reply in await asyncio.gather(*slow))
            await stopping


class TestLostConnection:
    """A client that is kept by `run`."""

    @pytest.mark.usefixtures("serving")
    async def test_is_replaced_and_whoever_waited_is_told(
        self, vhost: str, at_the_gate: list[str]
    ) -> None:
        async with Wire(vhost) as wire, kept(RequestClient(wire.url, SIGNATURES)) as client:
            waiting = asyncio.create_task(ask(client, WaitForThing(), timeout=PATIENT))
            await eventually(lambda: len(at_the_gate) == 1)
            wire.cut()
            async with asyncio.timeout(PATIENT / 4):
                with pytest.raises(DeadlineError):
                    await waiting
            await eventually(lambda: answers(client))

    @pytest.mark.usefixtures("serving")
    async def test_that_says_nothing_is_left_for_another(self, vhost: str) -> None:
        async with Wire(vhost) as wire, kept(RequestClient(wire.url, SIGNATURES)) as client:
            wire.fall_silent()
            await eventually(lambda: answers(client), seconds=20)  # the broker would: in 30


class TestShortage:
    async def test_of_memory_is_told_at_once_and_passes(
        self, mortal_server: RabbitServer, mortal_vhost: str, server: RequestServer
    ) -> None:
        client = RequestClient(mortal_vhost, SIGNATURES)
        async with answering(server, mortal_vhost), kept(client):
            async with mortal_server.short_of_memory():
                # The broker says it to who publishes: those of that moment wait for it in vain.
                await eventually(lambda: refuses(client))
                # Connections that the silent broker gives meanwhile are no better.
                for _ in range(100):
                    assert await refuses(client)
                    await asyncio.sleep(0.05)
            await eventually(lambda: answers(client))


@asynccontextmanager
async def kept(client: RequestClient) -> AsyncIterator[RequestClient]:
    """The client as a service runs it, once it answers."""
    supervisor = Supervisor()
    supervisor.add("requests", client.run)
    supervisor.start()
    await eventually(lambda: answers(client))
    yield client
    await supervisor.stop()


async def answers(client: RequestClient) -> bool:
    try:
        await ask(client, GetThing(thing_id=uuid4()), timeout=1)
    except ProblemError:
        return False
    return True


async def refuses(client: RequestClient) -> bool:
    """Whether it says that the broker is away, however long the caller would wait."""
    try:
        async with asyncio.timeout(PATIENT / 4):
            await ask(client, GetThing(thing_id=uuid4()), timeout=PATIENT)
    except ProblemError as error:
        return error.problem.code == "broker_unavailable"
    return False
