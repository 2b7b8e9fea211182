import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import aio_pika
import pytest
from crm_scratch import eventually
from crm_scratch.asking import ME, SOMEBODY_ELSE, LookOutside, ask, code, signed, things
from crm_scratch.bus import Bus
from crm_scratch.things import (
    SCRATCH,
    TENANT,
    BreakThing,
    GetThing,
    MakeThing,
    Thing,
    WaitForThing,
    make_thing,
)
from crm_testing.services import SIGNATURES, answering
from service_kit import request_server
from service_kit.calls import Call
from service_kit.circuits import MOST_IN_FLIGHT
from service_kit.database import Database, Transaction
from service_kit.declaring import renew_queues
from service_kit.errors import DeadlineError, NotFoundError, UnavailableError
from service_kit.request_client import DEFAULT_TIMEOUT_SECONDS, RequestClient
from service_kit.request_server import RequestServer
from service_kit.signing import Signed
from shared_events import topology
from shared_events.requests import Principal, Reply, RequestEnvelope


@pytest.mark.usefixtures("serving")
class TestAnswering:
    async def test_gives_a_value_and_its_event_in_one_transaction(
        self, client: RequestClient, database: Database
    ) -> None:
        made = await ask(client, MakeThing(name="Zé"))
        assert made.value is not None
        found = await ask(client, GetThing(thing_id=made.value["id"]))
        assert found.value == made.value
        async with database.tenant(TENANT) as tx:
            event = await tx.fetchrow("SELECT * FROM outbox_events")
        assert event is not None
        assert event["correlation_id"] == "req-1"

    async def test_hides_another_tenants_thing_like_a_missing_one(
        self, client: RequestClient
    ) -> None:
        made = await ask(client, MakeThing(name="mine"))
        assert made.value is not None
        hidden = await ask(client, GetThing(thing_id=made.value["id"]), principal=SOMEBODY_ELSE)
        missing = await ask(client, GetThing(thing_id=uuid4()))
        assert hidden == missing
        assert code(hidden) == ("not_found", "thing_not_found")

    async def test_turns_a_bug_into_a_problem_and_leaves_nothing_behind(
        self, client: RequestClient, database: Database
    ) -> None:
        reply = await ask(client, BreakThing())
        assert code(reply) == ("internal", "internal_error")
        assert "a bug" not in reply.model_dump_json()
        assert await things(database) == 0

    async def test_names_wrong_fields_without_their_values(
        self, server: RequestServer, database: Database
    ) -> None:
        body = _envelope({"name": 5511987654321}).model_dump_json().encode()
        reply = await server.reply(MakeThing, body, None, {})
        assert code(reply) == ("invalid", "validation_failed")
        assert reply.problem is not None
        assert reply.problem.errors[0].pointer == "/name"
        assert "5511987654321" not in reply.model_dump_json()

    async def test_answers_an_envelope_that_cannot_be_read(self, server: RequestServer) -> None:
        assert code(await server.reply(MakeThing, b"not json", None, {}))[0] == "invalid"

    async def test_answers_a_request_it_does_not_know(self, bus: Bus) -> None:
        await bus.channel.declare_queue("answers", durable=True)
        asked = Signed("scratch.commands", str(uuid4()), "1", "answers", b"{}")
        await bus.send(signed(asked), queue="scratch.commands")
        answered = await bus.take("answers")
        assert answered.correlation_id == "1"
        reply = Reply.model_validate_json(answered.body)
        assert code(reply) == ("internal", "unknown_request")

    async def test_says_the_database_is_away(
        self, client: RequestClient, database: Database
    ) -> None:
        await database.close()
        assert code(await ask(client, GetThing(thing_id=uuid4())))[0] == "unavailable"


def _envelope(body: dict[str, object], *, seconds: float = 5) -> RequestEnvelope[dict[str, object]]:
    return RequestEnvelope[dict[str, object]](
        key=MakeThing.key,
        principal=ME,
        deadline=datetime.now(UTC) + timedelta(seconds=seconds),
        correlation_id="req-1",
        body=body,
    )


@pytest.mark.usefixtures("serving")
class TestDeadline:
    async def test_when_passed_is_not_executed(
        self, server: RequestServer, database: Database
    ) -> None:
        late = _envelope({"name": "late"}, seconds=-0.001)
        reply = await server.reply(MakeThing, late.model_dump_json().encode(), None, {})
        assert code(reply) == ("timeout", "deadline_exceeded")
        assert await things(database) == 0

    async def test_ends_the_callers_wait(self, client: RequestClient) -> None:
        begun = time.monotonic()
        with pytest.raises(DeadlineError):
            await ask(client, WaitForThing(), timeout=0.3)
        assert 0.25 < time.monotonic() - begun < DEFAULT_TIMEOUT_SECONDS

    async def test_is_the_clients_where_a_call_names_none(self, vhost: str) -> None:
        client = RequestClient(vhost, SIGNATURES, timeout=0.3)
        await client.start()
        begun = time.monotonic()
        with pytest.raises(DeadlineError):
            await ask(client, WaitForThing())
        assert 0.25 < time.monotonic() - begun < DEFAULT_TIMEOUT_SECONDS
        await client.stop()

    async def test_frees_the_servers_connection(
        self, client: RequestClient, database: Database
    ) -> None:
        waits = [ask(client, WaitForThing(), timeout=0.3) for _ in range(4)]
        results = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(result) for result in results} == {DeadlineError}
        assert (await ask(client, MakeThing(name="next"))).problem is None

    async def test_is_counted_by_one_clock(self, server: RequestServer, database: Database) -> None:
        early = _envelope({"name": "their clock is late"}, seconds=-60)
        early = early.model_copy(update={"timeout_ms": 5000})
        reply = await server.reply(MakeThing, early.model_dump_json().encode(), None, {})
        assert reply.problem is None
        assert await things(database) == 1

    async def test_by_that_clock_ends_the_work(self, server: RequestServer) -> None:
        brief = _envelope({}, seconds=60).model_copy(update={"timeout_ms": 50})
        reply = await server.reply(WaitForThing, brief.model_dump_json().encode(), None, {})
        assert code(reply) == ("timeout", "deadline_exceeded")


class TestQueue:
    async def test_drops_a_request_nobody_took_in_time(
        self, client: RequestClient, bus: Bus
    ) -> None:
        queue = topology.request_queue(SCRATCH, "command")
        held = await bus.channel.declare_queue(queue.name, durable=True, auto_delete=True)
        await held.bind(topology.CRM_REQUESTS.name, MakeThing.key)
        with pytest.raises(DeadlineError):
            await ask(client, MakeThing(name="nobody listens"), timeout=0.3)

        async def gone() -> bool:
            return await bus.depth(queue.name) == 0

        await eventually(gone)

    async def test_of_earlier_code_makes_way(
        self,
        server: RequestServer,
        client: RequestClient,
        vhost: str,
        bus: Bus,
    ) -> None:
        for queue in server.queues:
            await bus.channel.declare_queue(queue.name, durable=True)
        async with await aio_pika.connect_robust(vhost) as connection:
            await renew_queues(connection, server.queues)
        async with answering(server, vhost):
            assert (await ask(client, MakeThing(name="x"))).problem is None


class TestPatience:
    async def test_with_what_may_come_holds_no_connection(
        self,
        database: Database,
        vhost: str,
        client: RequestClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(request_server, "PATIENCE_SECONDS", 60.0)
        looks: list[UUID] = []
        has_come = False

        async def find(tx: Transaction, request: GetThing, call: Call) -> Thing:
            looks.append(request.thing_id)
            if request.thing_id == UUID(int=1) and has_come:
                return Thing(id=request.thing_id, name="came")
            raise NotFoundError("thing", may_come=not has_come)

        server = RequestServer(SCRATCH, database, SIGNATURES)
        server.answer(GetThing, find)
        server.answer(MakeThing, make_thing)
        async with answering(server, vhost):
            ids = [1, *[2] * 19]
            waiting = [
                asyncio.create_task(ask(client, GetThing(thing_id=UUID(int=n)), timeout=60))
                for n in ids
            ]
            await eventually(lambda: len(looks) >= 60)
            # Far more wait than there are connections; another request goes right through.
            assert (await ask(client, MakeThing(name="x"))).problem is None
            assert not any(task.done() for task in waiting)
            has_come = True
            came, *missing = await asyncio.gather(*waiting)
        assert came.value is not None
        assert {code(reply) for reply in missing} == {("not_found", "thing_not_found")}

    async def test_is_for_what_may_come_alone_and_has_an_end(
        self,
        database: Database,
        vhost: str,
        client: RequestClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(request_server, "PATIENCE_SECONDS", 0.1)
        looks: list[UUID] = []
        never, late = UUID(int=1), UUID(int=2)

        async def find(tx: Transaction, request: GetThing, call: Call) -> Thing:
            looks.append(request.thing_id)
            raise NotFoundError("thing", may_come=request.thing_id == late)

        server = RequestServer(SCRATCH, database, SIGNATURES)
        server.answer(GetThing, find)
        async with answering(server, vhost):
            for each in (never, late):
                reply = await ask(client, GetThing(thing_id=each), timeout=60)
                assert code(reply) == ("not_found", "thing_not_found")
        assert looks.count(never) == 1 < looks.count(late)


@pytest.mark.usefixtures("serving")
class TestRedelivery:
    async def test_of_a_command_carries_it_out_once(self, bus: Bus, database: Database) -> None:
        """Lost between the commit and the acknowledgement, without an Idempotency-Key."""
        await bus.channel.declare_queue("answers", durable=True)
        body = _envelope({"name": "Zé"}).model_dump_json().encode()
        call_id = str(uuid4())
        exchange = await bus.channel.get_exchange(topology.CRM_REQUESTS.name)
        asked = signed(Signed(MakeThing.key, call_id, call_id, "answers", body))
        for _ in range(2):
            await exchange.publish(asked, MakeThing.key)
        replies = [Reply.model_validate_json((await bus.take("answers")).body) for _ in range(2)]
        assert [code(r) for r in replies if r.problem] == [("timeout", "answer_lost")]
        assert await things(database) == 1


@pytest.mark.usefixtures("serving")
class TestIdempotency:
    async def test_answers_the_same_command_again_without_doing_it(
        self, client: RequestClient, database: Database
    ) -> None:
        first = await ask(client, MakeThing(name="Zé"), key="k")
        again = await ask(client, MakeThing(name="Zé"), key="k")
        assert (first.replayed, again.replayed) == (False, True)
        assert again.value == first.value
        assert await things(database) == 1

    async def test_answers_repetitions_at_once_alike(self, client: RequestClient) -> None:
        first = await ask(client, MakeThing(name="Zé"), key="k")
        again = await asyncio.gather(
            *(ask(client, MakeThing(name="Zé"), key="k") for _ in range(20))
        )
        assert all(reply.replayed and reply.value == first.value for reply in again)

    async def test_refuses_the_key_for_another_request(self, client: RequestClient) -> None:
        await ask(client, MakeThing(name="Zé"), key="k")
        reply = await ask(client, MakeThing(name="Other"), key="k")
        assert code(reply) == ("invalid", "idempotency_key_reused")

    async def test_belongs_to_one_caller(self, client: RequestClient, database: Database) -> None:
        colleague = Principal(tenant_id=TENANT, user_id=UUID(int=9))
        for principal in (ME, colleague, SOMEBODY_ELSE):
            reply = await ask(client, MakeThing(name="Zé"), key="k", principal=principal)
            assert not reply.replayed
        assert await things(database) == 2

    async def test_tells_that_the_first_still_runs_or_replays_it(
        self, client: RequestClient, database: Database
    ) -> None:
        replies = await asyncio.gather(
            *(ask(client, MakeThing(name="Zé"), key="k") for _ in range(20))
        )
        outcomes = {
            code(r)[1] if r.problem else "replayed" if r.replayed else "done" for r in replies
        }
        assert sum(r.problem is None and not r.replayed for r in replies) == 1
        assert outcomes <= {"done", "replayed", "idempotency_key_in_use"}
        assert await things(database) == 1

    async def test_keeps_no_answer_of_a_command_that_failed(
        self, client: RequestClient, database: Database
    ) -> None:
        assert code(await ask(client, BreakThing(), key="k"))[0] == "internal"
        again = await ask(client, BreakThing(), key="k")
        assert not again.replayed


@pytest.mark.usefixtures("serving")
class TestConcurrency:
    async def test_a_slow_request_blocks_nobody(
        self, client: RequestClient, gate: asyncio.Event, at_the_gate: list[str]
    ) -> None:
        slow = asyncio.create_task(ask(client, WaitForThing(), timeout=60))
        await eventually(lambda: len(at_the_gate) == 1)
        await asyncio.gather(*(ask(client, GetThing(thing_id=uuid4())) for _ in range(32)))
        assert not slow.done()
        gate.set()
        assert (await slow).value is not None

    async def test_holds_so_many_in_flight_and_refuses_one_more(
        self, client: RequestClient, gate: asyncio.Event, at_the_gate: list[str]
    ) -> None:
        waits = [
            asyncio.create_task(ask(client, LookOutside(), timeout=60))
            for _ in range(MOST_IN_FLIGHT // 2)
        ]
        await eventually(lambda: bool(at_the_gate))  # they all set out before the first arrived
        with pytest.raises(UnavailableError):
            await ask(client, LookOutside())
        gate.set()
        replies = await asyncio.gather(*waits)
        assert {r.value["name"] for r in replies if r.value} == {TENANT}
        assert len(replies) == MOST_IN_FLIGHT // 2

    async def test_is_no_threads(
        self, client: RequestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """FastStream has one call each filter that is no coroutine: 40 for the fortieth request."""
        monkeypatch.delattr("anyio.to_thread.run_sync")
        assert (await ask(client, MakeThing(name="Zé"))).value is not None

    async def test_gives_each_caller_its_own_answer(self, client: RequestClient) -> None:
        replies = await asyncio.gather(*(ask(client, MakeThing(name=f"n{n}")) for n in range(100)))
        assert [r.value["name"] for r in replies if r.value] == [f"n{n}" for n in range(100)]
