"""Where a message stands in lists. Nothing here does I/O."""

from datetime import UTC, datetime

_WHATSAPP_BEGAN = datetime(2009, 1, 1, tzinfo=UTC)


def placed_at(sent_at: datetime | None, stored_at: datetime) -> datetime:
    """The time a message is listed by, decided once: WhatsApp's, where that can be true.

    A time to come, or one from before there was WhatsApp, would keep the message at an end of
    every list for ever; one that is merely late keeps its own time
    (docs/adr/0019-conversations.md).
    """
    if sent_at is None or not _WHATSAPP_BEGAN <= sent_at <= stored_at:
        return stored_at
    return sent_at
