"""Calls: somebody rings, and is answered on the company's phone or not at all."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.messaging.summaries import ChannelSummary, ContactSummary

CallStatus = Literal["received", "accepted", "rejected"]
"""How far a call got. WhatsApp does not say whether one was rejected, or ended otherwise."""


class Call(Contract):
    """A call to a number. `external_id` is WhatsApp's own id of it.

    `conversation_id` is where its contact writes on the channel; null while they never did, for a
    call is no message. Each step keeps its time, and some are never told.
    """

    id: UUID
    channel_id: UUID
    contact_id: UUID
    conversation_id: UUID | None = None
    external_id: bounds.ExternalId
    status: CallStatus
    is_video: bool = False
    received_at: datetime | None = None
    accepted_at: datetime | None = None
    rejected_at: datetime | None = None


class CallEvent(EventData, aggregate="call"):
    """What every event of a call says."""

    call: Call
    contact: ContactSummary
    channel: ChannelSummary


class CallReceived(CallEvent, type="call.received", public=True):
    """A customer calls."""


class CallAccepted(CallEvent, type="call.accepted", public=True):
    """A customer's call was answered on the company's phone."""


class CallRejected(CallEvent, type="call.rejected", public=True):
    """A customer's call was rejected, or is over; one that was not accepted was missed."""
