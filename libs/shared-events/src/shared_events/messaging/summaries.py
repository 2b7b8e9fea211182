"""What events show beside a message or a session, so that their receivers need not ask."""

from uuid import UUID

from shared_events import bounds
from shared_events.envelope import Contract


class ContactSummary(Contract):
    """The contact as a webhook receiver wants to show it."""

    id: UUID
    name: bounds.Name
    phone: bounds.Phone | None = None


class ChannelSummary(Contract):
    """The number a message came through."""

    id: UUID
    name: bounds.Name
