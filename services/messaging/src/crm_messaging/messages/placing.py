"""Where a message stands in lists. Nothing here does I/O."""

from datetime import UTC, datetime

_WHATSAPP_BEGAN = datetime(2009, 1, 1, tzinfo=UTC)


def placed_at(sent_at: datetime | None, stored_at: datetime) -> datetime:
    """The second a message is listed by, decided once: WhatsApp's, where that can be true.

    A time to come, or one from before there was WhatsApp, would keep the message at an end of
    every list for ever; one that is merely late keeps its own time. WhatsApp knows whole seconds:
    were ours finer, an answer would stand behind what was said to it within the same second. There
    `seq` decides (docs/adr/0019-conversations.md).
    """
    believable = sent_at is not None and _WHATSAPP_BEGAN <= sent_at <= stored_at
    return (sent_at if sent_at and believable else stored_at).replace(microsecond=0)
