"""A request that its caller did not sign is not carried out, whoever put it into the queue."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aio_pika import Message
from crm_scratch import eventually
from crm_scratch.asking import ME, SOMEBODY_ELSE, ask, code, signed, things
from crm_scratch.bus import Bus
from crm_scratch.things import SCRATCH, GetThing, MakeThing, make_thing
from crm_testing.services import SIGNATURES, answering
from prometheus_client import REGISTRY
from service_kit.database import Database
from service_kit.request_client import RequestClient
from service_kit.request_server import RequestServer
from service_kit.signing import GOOD_FOR, HEADER, Signatures, Signed
from shared_events import topology
from shared_events.requests import Principal, Reply, RequestEnvelope
from shared_events.requests import Request as AnyRequest

Send = Callable[[Message, str], Awaitable[None]]
LATE = timedelta(seconds=1)


def asked(
    request: AnyRequest[Any], principal: Principal = ME, deadline: timedelta = timedelta(seconds=5)
) -> Signed:
    """A request as the gateway puts it."""
    envelope = RequestEnvelope[dict[str, object]](
        key=request.key,
        principal=principal,
        deadline=datetime.now(UTC) + deadline,
        timeout_ms=5000,
        correlation_id="req-1",
        body=request.model_dump(mode="json"),
    )
    call_id = str(uuid4())
    return Signed(request.key, call_id, call_id, "answers", envelope.model_dump_json().encode())


def unproven() -> float:
    """How many were dropped."""
    labels = {"queue": topology.request_queue(SCRATCH, "command").name}
    return REGISTRY.get_sample_value("crm_bus_requests_unproven_total", labels) or 0.0


@pytest.fixture
async def send(serving: object, bus: Bus) -> Send:
    """Puts a message where the gateway puts its requests; `answers` takes the replies."""
    await bus.channel.declare_queue("answers", durable=True)
    requests = await bus.channel.get_exchange(topology.CRM_REQUESTS.name)

    async def publish(message: Message, key: str) -> None:
        await requests.publish(message, key)

    return publish


class TestUnproven:
    @pytest.fixture(params=["unsigned", "by another", "altered", "for another request"])
    def forged(self, request: pytest.FixtureRequest) -> Message:
        """Each asks for a thing to be made in somebody else's name."""
        mine, theirs = asked(MakeThing(name="x")), asked(MakeThing(name="x"), SOMEBODY_ELSE)
        message = signed(theirs)
        signatures = {
            "unsigned": None,
            "by another": Signatures("another key").sign(theirs),
            "altered": SIGNATURES.sign(theirs._replace(body=mine.body)),
            "for another request": SIGNATURES.sign(theirs._replace(key=GetThing.key)),
        }
        message.headers[HEADER] = signatures[request.param]
        return message

    async def test_is_dropped_unanswered_and_counted(
        self, send: Send, forged: Message, bus: Bus, client: RequestClient, database: Database
    ) -> None:
        before = unproven()
        await send(forged, MakeThing.key)

        async def dropped() -> bool:
            return unproven() == before + 1

        await eventually(dropped)
        assert (await ask(client, MakeThing(name="mine"))).problem is None  # its successor goes on
        assert await things(database) == 1
        assert await bus.depth("answers") == 0


class TestReplayed:
    async def test_command_is_carried_out_once(
        self, send: Send, bus: Bus, database: Database
    ) -> None:
        message = signed(asked(MakeThing(name="x")))
        for _ in range(3):
            await send(message, MakeThing.key)
        replies = [Reply.model_validate_json((await bus.take("answers")).body) for _ in range(3)]
        assert [code(reply)[1] for reply in replies if reply.problem] == ["answer_lost"] * 2
        assert await things(database) == 1

    async def test_request_is_refused_once_its_time_is_over(
        self, send: Send, bus: Bus, database: Database
    ) -> None:
        """By more than clocks may differ; until then its own timeout is believed."""
        old = asked(MakeThing(name="old"), deadline=-GOOD_FOR - LATE)
        await send(signed(old), MakeThing.key)
        reply = Reply.model_validate_json((await bus.take("answers")).body)
        assert code(reply) == ("timeout", "deadline_exceeded")
        assert await things(database) == 0


class TestTurningTheKey:
    async def test_both_are_believed_meanwhile(self, database: Database, vhost: str) -> None:
        server = RequestServer(SCRATCH, database, Signatures("new", previous="old"))
        server.answer(MakeThing, make_thing)
        async with answering(server, vhost):
            for key in ("old", "new"):
                client = RequestClient(vhost, Signatures(key))
                await client.start()
                assert (await ask(client, MakeThing(name=key))).problem is None
                await client.stop()
