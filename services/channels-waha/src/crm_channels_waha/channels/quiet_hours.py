"""Quiet hours: the times of day in which a channel sends nothing that nobody waits for."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared_events.channels.channel import QuietHours

from crm_channels_waha.channels.models import ChannelRow

_DAY = timedelta(days=1)


def of(channel: ChannelRow) -> QuietHours | None:
    """The quiet hours of a channel, if it has any."""
    return QuietHours.model_validate(channel.quiet_hours) if channel.quiet_hours else None


def ends_at(hours: QuietHours, now: datetime) -> datetime | None:
    """When the quiet hours end that it is in; None outside of them.

    Clocks that are put on or back in between make them shorter or longer: local times count. Of a
    time that comes twice it is the first; one that is left out is as far behind the change.
    """
    zone = ZoneInfo(hours.timezone)
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    today = now.astimezone(zone).date()
    for first in (today - _DAY, today):
        last = first if start < end else first + _DAY
        # In UTC: within one zone Python compares what the clocks say.
        begins_at = datetime.combine(first, start, zone).astimezone(UTC)
        finishes_at = datetime.combine(last, end, zone).astimezone(UTC)
        if begins_at <= now < finishes_at:
            return finishes_at
    return None
