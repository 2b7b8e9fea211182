"""Labels of WhatsApp Business: each number has its own, and its owner puts them on chats."""

from datetime import datetime
from uuid import UUID

from shared_events import bounds
from shared_events.channels.traffic import Person, TrafficChannel
from shared_events.envelope import Contract, EventData
from shared_events.messaging.summaries import ChannelSummary
from shared_events.requests import ListQuery


class Label(Contract):
    """A label of a number. `id` is WhatsApp's, and another number's label may have the same.

    One that was seen on a chat, and of which nothing else is known yet, has no name.
    """

    id: bounds.LabelId
    name: bounds.Name | None = None
    color: bounds.Color | None = None


class ListLabels(ListQuery[Label], key="channels.label.list"):
    """The labels of a number, as its owner has them in WhatsApp."""

    channel_id: UUID


class ChannelLabelChanged(
    EventData, type="channel.label_changed", aggregate="channel", public=True
):
    """A label of a channel is new, is called or coloured otherwise, or was deleted.

    One that was deleted is on no chat any more: nothing else tells so.
    """

    channel: ChannelSummary
    label: Label
    deleted: bool = False
    told_at: datetime


class ChannelChatLabelled(EventData, type="channel.chat_labelled", aggregate="conversation"):
    """A label was put on a chat (`labelled`), or taken off it. `person` is whose chat it is.

    Reports repeat and come out of order; `told_at` says which is the newer.
    """

    channel: TrafficChannel
    chat_id: bounds.ChatId
    person: Person
    label: Label
    labelled: bool
    told_at: datetime
