"""Writing down what channels heard, in as few words as will do."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from service_kit.database import Transaction

from crm_channels_waha.channels.repository import ChannelKey
from crm_channels_waha.hearing import repository
from crm_channels_waha.hearing.repository import Hearer
from crm_channels_waha.waha.meaning import Edited, Heard, SessionReport, Translation


async def note(
    tx: Transaction,
    hearers: Mapping[ChannelKey, Hearer],
    understood: Iterable[tuple[ChannelKey, Translation]],
) -> None:
    """Note of channels how new what they heard is: who hears nothing newer may be deaf.

    A second that was noted just now is not noted again, so that a channel's batches do not wait
    for each other. What WAHA says of sessions is to be applied after this.
    """
    newest: dict[ChannelKey, datetime] = {}
    spoke: set[ChannelKey] = set()
    for channel, meaning in understood:
        match meaning:
            case Heard(message):
                at = message.sent_at
            case Edited(edit, _):  # NOWEB shows a message that was edited under that time
                at = edit.edited_at
            case SessionReport():
                spoke.add(channel)
                continue
            case _:
                continue
        known = newest.get(channel) or hearers[channel].no_news_until
        if known is None or at > known:
            newest[channel] = at
    if spoke:  # applying these changes channels, and what they heard, one by one
        await repository.lock(tx, spoke, newest)
    await repository.heard(tx, newest)
    for channel in sorted(spoke):
        await repository.spoke(tx, channel)
