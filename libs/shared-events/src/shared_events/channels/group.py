"""What is told of a group, free of WAHA's shapes."""

from datetime import datetime

from pydantic import Field

from shared_events import bounds
from shared_events.channels.traffic import Person, TrafficChannel
from shared_events.envelope import Contract, EventData


class GroupMember(Contract):
    """Somebody who is in a group, or has `left` it. `role` is missing where it was not told."""

    person: Person
    role: bounds.Word | None = None
    left: bool = False


class ChannelGroupReported(EventData, type="channel.group_reported", aggregate="conversation"):
    """A group has this subject, or people came, went or got another role in it.

    Of what is missing nothing was told: `members` are those it is about, not all there are. Reports
    repeat and come out of order; `told_at` says which is the newer.
    """

    channel: TrafficChannel
    chat_id: bounds.ChatId
    subject: bounds.Name | None = None
    members: list[GroupMember] = Field(default_factory=list)
    told_at: datetime
