"""Numbers: whether somebody is on WhatsApp under them."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.messaging.content import Phone
from shared_events.requests import Command


class NumberCheck(Contract):
    """Whether a phone (E.164) is on WhatsApp, as was found out at `checked_at`."""

    phone: bounds.Phone
    exists: bool
    checked_at: datetime


class NumberChecks(Contract):
    """What was found out of each phone, in the order they were given."""

    numbers: list[NumberCheck]


class CheckNumbers(Command[NumberChecks], key="channels.number.check"):
    """Find out whether phones are on WhatsApp, before somebody is written to for the first time.

    Answers are kept for a while. A channel looks up only so many others in a day, for WhatsApp
    takes much asking for a search for victims: beyond that 429 says when the next day begins.
    Nothing needs it for sending: what is sent to a number that is not there fails by itself.
    """

    channel_id: UUID
    phones: list[Phone] = Field(min_length=1, max_length=10)
