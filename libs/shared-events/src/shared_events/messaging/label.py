"""Labels on chats: a number's owner puts them there, and takes them off, in WhatsApp."""

from datetime import datetime
from uuid import UUID

from shared_events.channels.label import Label
from shared_events.envelope import EventData
from shared_events.messaging.summaries import ChannelSummary, ContactSummary


class LabelEvent(EventData, aggregate="conversation"):
    """What every event of a label on a chat says.

    `conversation_id` is where its contact writes on the channel; null while they never did. A group
    has no contact.
    """

    label: Label
    conversation_id: UUID | None = None
    contact: ContactSummary | None = None
    channel: ChannelSummary
    changed_at: datetime


class LabelAdded(LabelEvent, type="label.added", public=True):
    """A label was put on a chat."""


class LabelRemoved(LabelEvent, type="label.removed", public=True):
    """A label was taken off a chat."""
