"""A queue's consumer handles what reaches the queue, no less and no more."""

from collections.abc import Sequence
from typing import Any

import pytest
from service_kit.database import Transaction
from service_kit.incoming import Event, EventDecoder
from service_kit.settings import ConfigurationError
from shared_events import topology
from shared_events.channels.traffic import ChannelCallReported
from shared_events.messaging.session import SessionStarted


async def handled(tx: Transaction, events: Sequence[Event[Any]]) -> None:
    """Nothing is done with them."""


def test_what_never_comes_may_not_be_handled() -> None:
    decoder = EventDecoder(topology.MESSAGING_WORKFLOWS)
    decoder.on(SessionStarted, handled)
    decoder.check()
    decoder.on(ChannelCallReported, handled)
    with pytest.raises(ConfigurationError, match=r"call_reported is handled, but not bound"):
        decoder.check()


def test_what_comes_may_not_be_left_out() -> None:
    with pytest.raises(ConfigurationError, match=r"session.started is bound, but nobody handles"):
        EventDecoder(topology.MESSAGING_WORKFLOWS).check()


def test_calls_reach_messaging() -> None:
    assert ChannelCallReported in topology.events_of(topology.MESSAGING_CHANNEL_EVENTS)
