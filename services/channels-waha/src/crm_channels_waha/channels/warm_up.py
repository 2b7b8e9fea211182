"""Warm-up: a new number sends a little in bulk at first, and more each day (days are UTC's)."""

from datetime import UTC, date, datetime, time, timedelta

from shared_events.channels.channel import WarmUp

from crm_channels_waha.channels.models import ChannelRow

_MOST = 2**31 - 1


def of(row: ChannelRow) -> WarmUp | None:
    """The warm-up of a channel, also one that is over."""
    return WarmUp.model_validate(row.warm_up) if row.warm_up else None


def limit_on(warm_up: WarmUp | None, day: date) -> int | None:
    """How many messages may be sent in bulk on a day; None when there is no limit.

    Before it starts as many as on its first day.
    """
    gone = max((day - warm_up.starts_on).days, 0) if warm_up else 0
    if warm_up is None or gone >= warm_up.days:
        return None
    return int(min(warm_up.first_day * warm_up.growth**gone, _MOST))


def sent_on(row: ChannelRow, day: date) -> int:
    """How many messages a channel has sent in bulk on this day, which is its last."""
    return row.bulk_sent if row.bulk_day == day else 0


def goes_on_at(row: ChannelRow, now: datetime) -> datetime | None:
    """When a channel that has sent all of today's may go on; None while it may."""
    today = now.astimezone(UTC).date()
    most = limit_on(of(row), today)
    if most is None or sent_on(row, today) < most:
        return None
    return datetime.combine(today + timedelta(days=1), time.min, UTC)
