"""Polls: what people choose of what a message asks."""

from datetime import datetime

from shared_events import bounds
from shared_events.envelope import Contract


class Vote(Contract):
    """What somebody chose of a poll. `by` and `participant` are as of a reaction."""

    options: list[bounds.PollOption]
    by: bounds.Word
    participant: bounds.ChatId | None = None
    at: datetime


class PollOption(Contract):
    """What a poll lets choose, and how many did."""

    name: bounds.PollOption
    votes: int


class PollResult(Contract):
    """How a poll stands: its options in their order, and who chose what, the oldest first."""

    options: list[PollOption]
    votes: list[Vote]
