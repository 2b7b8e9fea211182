"""How long customers wait for an answer. Nothing here does I/O.

Who answers whom goes by the order in which messages were stored, as in the inbox; how long it took
by the times they are listed by (`messages/placing.py`), as both are told late after an outage.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared_events.messaging.message import Direction


@dataclass(frozen=True, slots=True)
class Talk:
    """What messages in a row say of waiting: when each side spoke first, and who still waits.

    `waiting_since` is the customer's first message after the company's last one.
    """

    first_inbound_at: datetime | None = None
    first_outbound_at: datetime | None = None
    waiting_since: datetime | None = None


def talk(said: Iterable[tuple[Direction, datetime]]) -> Talk:
    """Messages of one session in their order, each with its direction and when it was said."""
    inbound = outbound = waiting = None
    for direction, at in said:
        if direction == "inbound":
            inbound, waiting = inbound or at, waiting or at
        else:
            outbound, waiting = outbound or at, None
    return Talk(inbound, outbound, waiting)


def first_response_seconds(
    opened_by: str, first_inbound_at: datetime | None, first_outbound_at: datetime | None
) -> int | None:
    """How long who opened a session waited for a first answer.

    None while there is none, and where the company wrote first: nobody waited for that.
    """
    if opened_by != "customer" or first_inbound_at is None or first_outbound_at is None:
        return None
    return max(0, int((first_outbound_at - first_inbound_at).total_seconds()))
