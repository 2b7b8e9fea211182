"""Rejecting calls, where a channel does so (docs/waha.md, "Calls").

A call that is not rejected in time rings until the caller gives up, as it does without this.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from shared_events.channels.traffic import ChannelCallReported

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.presence.fleeting import Fleeting
from crm_channels_waha.waha.client import Waha

_RINGS = timedelta(minutes=1)


class Rejecting:
    """Rejects what rings; `calls`, each with its chat, does it."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self.calls = Fleeting[tuple[str, str]](
            database, connections, is_wanted=lambda channel: channel.reject_calls, do=_reject
        )

    async def on_call_reported(
        self, tx: Transaction, events: Sequence[Event[ChannelCallReported]]
    ) -> None:
        """Take those that still ring."""
        del tx
        since = datetime.now(UTC) - _RINGS
        for event in events:
            call = event.data
            if call.status == "received" and call.happened_at >= since:
                self.calls.add((event.tenant_id, call.channel.id), (call.chat_id, call.call_id))


async def _reject(waha: Waha, call: tuple[str, str]) -> None:
    await waha.reject_call(*call)
