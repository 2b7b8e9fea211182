"""When quiet hours end, by clocks that are put on and back."""

from datetime import datetime

import pytest
from crm_channels_waha.channels.quiet_hours import ends_at
from shared_events.channels.channel import QuietHours

NIGHT = ("20:00", "08:00", "America/Sao_Paulo")
NOON = ("12:00", "13:30", "America/Sao_Paulo")
BERLIN = ("22:00", "07:00", "Europe/Berlin")
CASES = [
    # Over midnight: before it, after it, and to the minute at both ends.
    (NIGHT, "2026-11-30T23:00:00Z", "2026-12-01T11:00:00Z"),
    (NIGHT, "2026-12-01T10:59:59Z", "2026-12-01T11:00:00Z"),
    (NIGHT, "2026-11-30T22:59:59Z", None),
    (NIGHT, "2026-12-01T11:00:00Z", None),
    # Within a day.
    (NOON, "2026-11-30T15:00:00Z", "2026-11-30T16:30:00Z"),
    (NOON, "2026-11-30T16:30:00Z", None),
    (NOON, "2026-11-30T14:59:59Z", None),
    # Far from UTC, its day is another one.
    (("21:00", "09:00", "Pacific/Auckland"), "2026-06-30T19:00:00Z", "2026-06-30T21:00:00Z"),
    # The night the clocks are put on, and the one they are put back.
    (BERLIN, "2026-03-28T21:00:00Z", "2026-03-29T05:00:00Z"),
    (BERLIN, "2026-10-24T20:00:00Z", "2026-10-25T06:00:00Z"),
    # 02:30 is left out; it comes twice, and the first counts.
    (("01:00", "02:30", "Europe/Berlin"), "2026-03-29T00:59:00Z", "2026-03-29T01:30:00Z"),
    (("01:00", "02:30", "Europe/Berlin"), "2026-10-25T00:29:00Z", "2026-10-25T00:30:00Z"),
    (("01:00", "02:30", "Europe/Berlin"), "2026-10-25T01:00:00Z", None),
]


@pytest.mark.parametrize(("hours", "now", "end"), CASES)
def test_end(hours: tuple[str, str, str], now: str, end: str | None) -> None:
    quiet = QuietHours(start=hours[0], end=hours[1], timezone=hours[2])
    expected = datetime.fromisoformat(end) if end else None
    assert ends_at(quiet, datetime.fromisoformat(now)) == expected
