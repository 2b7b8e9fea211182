"""Commands under an Idempotency-Key: refused alike, and once where no transaction helps."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID, uuid4

import pytest
from crm_scratch.asking import ME, SOMEBODY_ELSE, things
from crm_scratch.things import MakeThing, Thing, insert_thing
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import ConflictError, ProblemError, UnavailableError
from service_kit.handling import carry_out, carry_out_elsewhere
from shared_events.requests import Principal, Reply

REFUSAL = ConflictError("taken", "It is taken.", existing_id="7")
AWAY = UnavailableError("away", "Try again.")
COMING = ConflictError("soon", "It may be on its way.")
COMING.may_come = True


class Handler:
    """Refuses for as long as it is told to; counts how often it was asked."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        if self.refusals:
            raise self.refusals.pop(0)

    async def inside(self, tx: Transaction, request: MakeThing, call: Call) -> Thing:
        del call
        thing = Thing(id=uuid4(), name=request.name)
        await insert_thing(tx, thing.id, thing.name)
        self._ask()
        return thing

    async def elsewhere(self, request: MakeThing, call: Call) -> Thing:
        del call
        self._ask()
        return Thing(id=UUID(int=1), name=request.name)


Do = Callable[..., Awaitable[Reply]]


@pytest.fixture(params=["inside", "elsewhere"])
def do(request: pytest.FixtureRequest, database: Database) -> Do:
    """Have a handler carry out a command, in a transaction or without."""

    async def carried_out(
        handler: Handler, *, name: str = "Zé", key: str | None = "k", who: Principal = ME
    ) -> Reply:
        asked, call = MakeThing(name=name), Call(who, "req-1", None)
        body = {"name": name}
        if request.param == "inside":
            return await carry_out(
                database, handler.inside, asked, call, body=body, idempotency_key=key, trace={}
            )
        return await carry_out_elsewhere(
            database, handler.elsewhere, asked, call, body=body, idempotency_key=key, call_id=None
        )

    return carried_out


class TestRefusals:
    async def test_are_replayed_as_they_were_though_it_would_go_by_now(
        self, do: Do, database: Database
    ) -> None:
        handler = Handler(REFUSAL)
        first, again = await do(handler), await do(handler)
        assert (first.problem, first.replayed) == (REFUSAL.problem, False)
        assert (again.problem, again.replayed) == (REFUSAL.problem, True)
        assert handler.asked == 1
        assert await things(database) == 0

    @pytest.mark.parametrize("passing", [AWAY, COMING, KeyError("a bug")])
    async def test_that_may_pass_are_not_kept(self, do: Do, passing: Exception) -> None:
        handler = Handler(passing)
        with pytest.raises(type(passing)):
            await do(handler)
        again = await do(handler)
        assert again.value is not None
        assert (again.value["name"], again.replayed) == ("Zé", False)

    async def test_are_of_one_key_and_caller(self, do: Do) -> None:
        handler = Handler(REFUSAL)
        assert (await do(handler)).problem == REFUSAL.problem
        assert (await do(handler, key="another")).problem is None
        assert (await do(handler, who=SOMEBODY_ELSE)).problem is None
        with pytest.raises(ProblemError) as reused:
            await do(handler, name="Eva")
        assert reused.value.problem.code == "idempotency_key_reused"

    async def test_without_a_key_are_as_things_stand(self, do: Do) -> None:
        handler = Handler(REFUSAL)
        with pytest.raises(ConflictError):
            await do(handler, key=None)
        assert (await do(handler, key=None)).problem is None


class TestElsewhere:
    async def test_is_done_once_for_a_key(self, database: Database) -> None:
        handler, made, call = Handler(), MakeThing(name="Zé"), Call(ME, "req-1", None)
        do = partial(carry_out_elsewhere, database, body={}, idempotency_key="k", call_id=None)

        async def meanwhile(request: MakeThing, call: Call) -> Thing:
            with pytest.raises(ConflictError) as running:
                await do(handler.elsewhere, request, call)
            assert running.value.problem.code == "idempotency_key_in_use"
            return await handler.elsewhere(request, call)

        first = await do(meanwhile, made, call)
        again = await do(handler.elsewhere, made, call)
        assert (again.value, again.replayed) == (first.value, True)
        assert handler.asked == 1

    async def test_a_call_is_carried_out_once_without_a_key(self, database: Database) -> None:
        handler, made, call = Handler(), MakeThing(name="Zé"), Call(ME, "req-1", None)
        do = partial(carry_out_elsewhere, database, body={}, idempotency_key=None, call_id=uuid4())
        await do(handler.elsewhere, made, call)
        with pytest.raises(ProblemError) as lost:
            await do(handler.elsewhere, made, call)
        assert lost.value.problem.code == "answer_lost"
