"""The pictures WhatsApp shows people with."""

from uuid import UUID

from shared_events.contacts.contact import Identity
from shared_events.envelope import EventData


class ChannelProfilePictureSeen(
    EventData, type="channel.profile_picture_seen", aggregate="conversation"
):
    """WhatsApp shows a person with this picture, a file; with none where `media_id` is missing.

    Told on each look, changed or not, so that who missed one hears of it. What it `replaces` is
    gone.
    """

    channel_id: UUID
    identity: Identity
    media_id: UUID | None = None
    replaces: UUID | None = None
