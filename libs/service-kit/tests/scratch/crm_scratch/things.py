"""What the scratch service publishes, consumes and answers."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.incoming import Event
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted
from shared_events.envelope import Contract
from shared_events.requests import Command, Query
from shared_events.services import ServiceName

TENANT = "0e5f7a0c-5d0b-4f6e-9d0a-2f4c8b1e6a01"
OTHER_TENANT = "0e5f7a0c-5d0b-4f6e-9d0a-2f4c8b1e6a02"

SCRATCH = ServiceName("scratch", "scratch", 0)

QUEUE = topology.EventQueue(
    "scratch.channels", topology.DOMAIN_EVENTS, [ChannelDeleted.event_type], service=SCRATCH
)
"""An ordered queue as all of ours; the events sent through it say no more than one id."""


class Thing(Contract):
    """What the requests answer."""

    id: UUID
    name: str


class MakeThing(Command[Thing], key="scratch.thing.make"):
    """Store a thing and say so."""

    name: str


class GetThing(Query[Thing], key="scratch.thing.get"):
    """Read a thing."""

    thing_id: UUID


class WaitForThing(Query[Thing], key="scratch.thing.wait"):
    """Answer only when the test says so."""


class BreakThing(Command[Thing], key="scratch.thing.break"):
    """Raise what no handler should raise."""


async def make_thing(tx: Transaction, request: MakeThing, call: Call) -> Thing:
    thing = Thing(id=uuid4(), name=request.name)
    await insert_thing(tx, thing.id, thing.name)
    tx.outbox.add(ChannelDeleted(channel_id=thing.id), thing.id)
    return thing


async def get_thing(tx: Transaction, request: GetThing, call: Call) -> Thing:
    row = await tx.fetchrow("SELECT id, name FROM things WHERE id = $1", request.thing_id)
    if row is None:
        raise NotFoundError("thing")
    return Thing(id=row["id"], name=row["name"])


async def break_thing(tx: Transaction, request: BreakThing, call: Call) -> Thing:
    await insert_thing(tx, uuid4(), "half done")
    raise KeyError("a bug")


async def insert_thing(tx: Transaction, thing_id: UUID, name: str) -> None:
    await tx.execute("INSERT INTO things VALUES ($1, $2, $3)", thing_id, tx.tenant_id, name)


async def store_deleted(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
    """An effect that shows every application: one new row per event."""
    for event in events:
        await insert_thing(tx, uuid4(), str(event.data.channel_id))
