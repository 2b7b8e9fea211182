"""The request about a channel's health."""

from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.channels.channel import (
    ChannelHealth,
    ChannelHold,
    ChannelProbe,
    GetChannelHealth,
)

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels import restrictions, warm_up
from crm_channels_waha.hearing import repository
from crm_channels_waha.outbound.holding import holds_of


async def get_health(tx: Transaction, request: GetChannelHealth, call: Call) -> ChannelHealth:
    """Whether the channel hears what is said; raises NotFoundError."""
    del call
    channel = await channels.find(tx, request.channel_id)
    now = datetime.now(UTC)
    hold = holds_of(channel, now).bulk
    today = now.date()
    said = ChannelHealth(
        status=channel.status,
        status_reason=channel.status_reason,
        waha_status=channel.waha_status,
        bulk_sent=warm_up.sent_on(channel, today),
        bulk_limit=warm_up.limit_on(warm_up.of(channel), today),
        restriction=restrictions.of(channel, now),
        hold=ChannelHold(reason=hold.reason, until=hold.until) if hold else None,
    )
    hearing = await repository.find(tx, (channel.tenant_id, channel.id))
    if hearing is None:
        return said
    looked = (
        ChannelProbe(at=hearing.looked_at, outcome=hearing.outcome)
        if hearing.looked_at and hearing.outcome
        else None
    )
    return said.model_copy(
        update={
            "last_message_at": hearing.said_at,
            "last_heard_at": hearing.heard_at,
            "deaf_since": hearing.deaf_since,
            "missing_since": hearing.gap_since,
            "last_probe": looked,
            "repairs": hearing.repairs,
            "last_repair_at": hearing.repaired_at,
        }
    )
