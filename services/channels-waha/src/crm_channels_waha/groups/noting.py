"""Groups are seen first in what is heard of them, live or in history."""

from collections.abc import Iterable

from service_kit.database import Transaction

from crm_channels_waha.channels.repository import ChannelKey
from crm_channels_waha.groups import repository
from crm_channels_waha.groups.repository import Group
from crm_channels_waha.waha.meaning import GroupSeen, Heard, Translation


async def note(
    tx: Transaction, said: Iterable[tuple[ChannelKey, Translation]], *, fresh_days: int
) -> None:
    """Have those looked up that nobody knows, or that were looked up so many days ago; 0: none."""
    if fresh_days:
        await repository.enter(tx, _groups(said), fresh_days=fresh_days)


def _groups(said: Iterable[tuple[ChannelKey, Translation]]) -> dict[Group, bool]:
    """The groups in what is said, and whether it tells what they are called."""
    seen: dict[Group, bool] = {}
    for channel, meaning in said:
        match meaning:
            case Heard(message) if message.is_group:
                seen.setdefault((*channel, message.chat_id), False)
            case GroupSeen(report, chat_id):
                group = (*channel, chat_id)
                seen[group] = seen.get(group, False) or report.subject is not None
    return seen
