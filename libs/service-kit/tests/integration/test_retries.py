"""Copies of what could not be applied, when the copy itself is what goes wrong."""

from collections.abc import Awaitable, Callable, Sequence

import aio_pika
import pytest
from crm_scratch import eventually
from crm_scratch.bus import Bus, deleted, headers
from crm_scratch.consuming import settled, stored
from crm_scratch.things import store_deleted
from service_kit import bus as bus_module
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from shared_events.channels.channel import ChannelDeleted

_FRAME_BYTES = 131_072
"""RabbitMQ's largest frame; all properties of a message travel in one."""


def _padded(characters: int) -> aio_pika.Message:
    """A message with so many characters of strangers' headers, each short enough to be kept."""
    made = deleted()
    for number in range(characters // 900):
        made.headers[f"stranger-{number}"] = "a" * 900
    return made


def _just_fits() -> aio_pika.Message:
    """One whose properties fill a frame so far that a copy's further headers do not fit."""
    made = _padded(_FRAME_BYTES - 4000)
    rest = _FRAME_BYTES - 60 - len(made.properties.marshal())
    while rest > 0:
        made.headers[f"rest-{rest}"] = "a" * max(0, min(900, rest - 20))
        rest = _FRAME_BYTES - 60 - len(made.properties.marshal())
    return made


@pytest.mark.parametrize(
    ("culprit", "largest"),
    [
        pytest.param(_padded(20_000), None, id="amqp-cannot-carry-it"),
        pytest.param(_just_fits(), 10**9, id="the-broker-closes-the-connection"),
    ],
)
async def test_a_copy_that_cannot_be_made_stops_nobody(
    database: Database,
    bus: Bus,
    consuming: Callable[..., Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
    culprit: aio_pika.Message,
    largest: int | None,
) -> None:
    """The broker itself dead-letters the original; its neighbours are applied once."""
    if largest is not None:
        monkeypatch.setattr(bus_module, "MAX_HEADER_CHARACTERS", largest)

    async def refuse(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
        if any("stranger-0" in event.headers for event in events):
            raise ValueError("not this one")
        await store_deleted(tx, events)

    await bus.send(*(deleted() for _ in range(5)), culprit, *(deleted() for _ in range(5)))
    await consuming(refuse)
    letter = await bus.dead_letter()
    assert letter.body == culprit.body
    assert headers(letter)["x-first-death-reason"] == "rejected"
    await eventually(stored(database, 10))
    await bus.send(deleted())
    await eventually(stored(database, 11))
    await eventually(settled(bus))
