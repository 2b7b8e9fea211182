"""What WAHA holds of a session, against what it told us: the look at one channel.

Nothing is sent. A message to a stranger would prove the same, and be unasked for
(docs/adr/0032-liveness.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.inbound.consumers import listener_of
from crm_channels_waha.waha.client import Waha, WahaError
from crm_channels_waha.waha.meaning import Heard
from crm_channels_waha.waha.reading import Json, mapping
from crm_channels_waha.waha.session import WahaSession
from crm_channels_waha.waha.translate import translate

_CHATS = 20
"""The newest chats; some of them are nobody's conversation."""

Outcome = Literal["heard", "deaf", "away", "not_working"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What WAHA answered: its session, unless it is away, and when its newest message was said."""

    session: WahaSession | None
    newest: datetime | None = None

    def outcome(self, said_at: datetime, before: datetime) -> Outcome:
        """What that means to who heard nothing newer than `said_at`.

        What was said after `before` may still be on its way.
        """
        if self.session is None:
            return "away"
        if self.session.status != "WORKING":
            return "not_working"
        return "deaf" if self.newest and said_at < self.newest <= before else "heard"


async def probe(waha: Waha, channel: ChannelRow, before: datetime) -> Probe:
    """Ask WAHA for its session and its newest messages up to `before`."""
    try:
        session = await waha.describe()
        if session is None:
            return Probe(WahaSession("STOPPED", None, None, {}))
        if session.status != "WORKING":
            return Probe(session)
        chats = await waha.chats(offset=0, limit=_CHATS)
    except WahaError:
        return Probe(None)
    return Probe(session, newest(chats, channel, session, before))


def newest(
    chats: Sequence[Json], channel: ChannelRow, session: WahaSession, before: datetime
) -> datetime | None:
    """When the newest message was said that WAHA should have told us of, up to `before`.

    What stands last in a chat may be housekeeping, or in a chat that the session leaves out: that
    is told to nobody.
    """
    listener = listener_of(channel)
    now = datetime.now(UTC)
    ignored = mapping(session.config.get("ignore"))
    times = []
    for chat in chats:
        envelope = {"event": "message.any", "payload": mapping(chat.get("lastMessage"))}
        try:
            meaning = translate(envelope, listener, now)
        except Exception:  # noqa: S112 - a shape nobody foresaw proves nothing
            continue
        if isinstance(meaning, Heard) and not (meaning.message.is_group and ignored.get("groups")):
            times.append(meaning.message.sent_at)
    return max((at for at in times if at <= before), default=None)
