"""What a channel holds back for a while: that which nobody waits for (ADR 38)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Literal
from uuid import UUID

from service_kit.database import Transaction

from crm_channels_waha.channels import quiet_hours, restrictions, warm_up
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import CHANNELS
from crm_channels_waha.outbound.models import OutboundMessage

_CHANNELS = "SELECT * FROM channels WHERE id = ANY($1::uuid[])"


@dataclass(frozen=True, slots=True)
class Hold:
    """Why something waits, and until when."""

    reason: Literal["quiet_hours", "restriction", "warm_up"]
    until: datetime


@dataclass(frozen=True, slots=True)
class Holds:
    """What holds the bulk of a channel, and what holds the rest to whom WhatsApp never showed.

    `next_message` of the ledger says the same in SQL.
    """

    bulk: Hold | None = None
    strangers: Hold | None = None

    @property
    def ends(self) -> list[datetime]:
        """When what holds something ends."""
        return [hold.until for hold in (self.bulk, self.strangers) if hold is not None]

    def on(self, row: OutboundMessage) -> Hold | None:
        """What holds an entry; what was tried, or changes a message, is never held."""
        if row.state != "pending" or row.target_id is not None:
            return None
        if row.bulk:
            return self.bulk
        return None if row.proved else self.strangers


def holds_of(channel: ChannelRow | None, now: datetime) -> Holds:
    """What a channel holds now; one that is gone holds nothing. Of several the longest counts."""
    if channel is None:
        return Holds()
    hours, restriction = quiet_hours.of(channel), restrictions.of(channel, now)
    ends_at = quiet_hours.ends_at(hours, now) if hours else None
    goes_on_at = warm_up.goes_on_at(channel, now)
    quiet = Hold("quiet_hours", ends_at) if ends_at else None
    restricted = Hold("restriction", restriction.until) if restriction else None
    warming = Hold("warm_up", goes_on_at) if goes_on_at else None
    found = [hold for hold in (quiet, restricted, warming) if hold]
    return Holds(max(found, key=attrgetter("until"), default=None), restricted)


async def holds_by_channel(tx: Transaction, channel_ids: Collection[UUID]) -> dict[UUID, Holds]:
    """What these channels hold now; one that there is not is left out."""
    if not channel_ids:
        return {}
    rows, now = await CHANNELS.find(tx, _CHANNELS, list(channel_ids)), datetime.now(UTC)
    return {row.id: holds_of(row, now) for row in rows}
