"""How much a new number may send in bulk on each day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.warm_up import limit_on
from crm_channels_waha.outbound.holding import Hold, holds_of
from shared_events.channels.channel import WarmUp

START = date(2026, 11, 30)
RAMP = WarmUp(starts_on=START, first_day=20, growth=1.5, days=5)


def channel(**values: Any) -> ChannelRow:
    given = {"session_timeout_seconds": 60, "allow_groups": True, **values}
    return ChannelRow.model_construct(**given)


@pytest.mark.parametrize(
    ("day", "limit"), [(-3, 20), (0, 20), (1, 30), (2, 45), (3, 67), (4, 101), (5, None)]
)
def test_grows_each_day_until_it_is_over(day: int, limit: int | None) -> None:
    assert limit_on(RAMP, START + timedelta(days=day)) == limit


def test_of_any_size_can_be_counted() -> None:
    steep = WarmUp(starts_on=START, first_day=10_000, growth=10, days=90)
    assert limit_on(steep, START + timedelta(days=89)) == 2**31 - 1


@pytest.mark.parametrize(
    ("sent", "day", "is_held"),
    [(20, START, True), (19, START, False), (99, START - timedelta(days=1), False)],
)
def test_holds_what_is_more_until_the_next_day(sent: int, day: date, is_held: bool) -> None:
    row = channel(warm_up=RAMP.model_dump(mode="json"), bulk_day=day, bulk_sent=sent)
    hold = Hold("warm_up", datetime(2026, 12, 1, tzinfo=UTC)) if is_held else None
    holds = holds_of(row, datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    assert (holds.bulk, holds.strangers) == (hold, None)


def test_of_several_holds_the_longest_counts() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    row = channel(
        warm_up=RAMP.model_dump(mode="json"),
        bulk_day=START,
        bulk_sent=20,
        quiet_hours={"start": "11:00", "end": "13:00", "timezone": "UTC"},
        restricted_since=now,
        restricted_until=now + timedelta(days=2),
    )
    until = now + timedelta(days=2)
    assert holds_of(row, now).bulk == holds_of(row, now).strangers == Hold("restriction", until)
    ended = holds_of(row.model_copy(update={"restriction_lifted_at": now}), now)
    assert (ended.bulk and ended.bulk.reason, ended.strangers) == ("warm_up", None)
