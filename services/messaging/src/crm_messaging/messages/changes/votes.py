"""Votes on polls. Nothing here does I/O.

Each vote says all that its person chooses by now, so the newest counts, and an empty one withdraws.
That one is kept as well: an older may come late.
"""

from dataclasses import dataclass
from datetime import datetime

from shared_events.identity import WhatsAppId
from shared_events.messaging.poll import Vote

from crm_messaging.messages.changes.senders import by_whom, participant_of


@dataclass(frozen=True, slots=True)
class Voted:
    """What somebody chose of a poll, nothing to withdraw it; `author` is who in the chat it was."""

    options: tuple[str, ...]
    at: datetime
    from_us: bool
    author: tuple[WhatsAppId, ...]


def vote(voted: Voted, current: Vote | None, sender: str) -> Vote | None:
    """Let a vote take the place of the same person's; None when it is older, or known."""
    options = list(dict.fromkeys(voted.options))
    if current is not None and (
        current.at > voted.at or (current.at, current.options) == (voted.at, options)
    ):
        return None
    return Vote(
        options=options,
        by=by_whom(from_us=voted.from_us),
        participant=participant_of(sender),
        at=voted.at,
    )
