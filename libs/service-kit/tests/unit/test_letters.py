"""A message is acknowledged with the last of its events, whichever way each of them went."""

from types import SimpleNamespace
from typing import cast

import pytest
from aio_pika import IncomingMessage
from service_kit.batch import Records
from service_kit.bundles import Letter


class Delivery:
    """As much of a message as settling it takes."""

    processed = False
    channel = SimpleNamespace(is_closed=False)

    async def ack(self) -> None:
        self.processed = True


@pytest.fixture
def delivery() -> Delivery:
    return Delivery()


@pytest.fixture
def kept() -> set[IncomingMessage]:
    """What its batch is not to settle."""
    return set()


@pytest.fixture
def letter(delivery: Delivery, kept: set[IncomingMessage]) -> Letter:
    message = cast(IncomingMessage, delivery)
    return Letter(message, Records((message,), kept))


async def test_waits_for_the_last_that_was_set_aside(
    letter: Letter, delivery: Delivery, kept: set[IncomingMessage]
) -> None:
    letter.keep()
    letter.keep()
    letter.leave()
    await letter.settle()
    assert not delivery.processed
    assert kept
    await letter.settle()
    assert delivery.processed


async def test_goes_with_its_batch_where_none_waits_any_more(
    letter: Letter, delivery: Delivery, kept: set[IncomingMessage]
) -> None:
    letter.keep()
    await letter.settle()  # while others of it are still in hand
    assert not delivery.processed
    letter.keep()
    await letter.settle()
    letter.leave()
    assert not delivery.processed
    assert not kept
