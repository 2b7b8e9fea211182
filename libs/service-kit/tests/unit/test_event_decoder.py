"""A queue's consumer handles what is bound to it: all of it, and nothing else."""

from collections.abc import Sequence

import pytest
from service_kit.database import Transaction
from service_kit.incoming import Event, EventDecoder
from service_kit.settings import ConfigurationError
from shared_events.envelope import EventData
from shared_events.messaging.session import SessionStarted
from shared_events.topology import MESSAGING_WORKFLOWS
from shared_events.webhooks.endpoint import WebhookEndpointFailing


async def nothing(tx: Transaction, events: Sequence[Event[EventData]]) -> None:
    del tx, events


def decoder(*events: type[EventData]) -> EventDecoder:
    found = EventDecoder(MESSAGING_WORKFLOWS)
    for event in events:
        found.on(event, nothing)
    return found


def test_what_is_bound_is_handled() -> None:
    decoder(SessionStarted).check()
    with pytest.raises(ConfigurationError, match=r"session\.started is bound, but nobody"):
        decoder().check()


def test_what_is_handled_is_bound() -> None:
    with pytest.raises(ConfigurationError, match=r"endpoint_failing is handled, but not bound"):
        decoder(SessionStarted, WebhookEndpointFailing).check()
