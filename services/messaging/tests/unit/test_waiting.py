from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from crm_messaging.sessions.waiting import Talk, first_response_seconds, talk
from shared_events.messaging.message import Direction

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MINUTES = [NOON + timedelta(minutes=n) for n in range(6)]


def said(order: str) -> list[tuple[Direction, datetime]]:
    return [
        ("inbound" if who == "i" else "outbound", at)
        for who, at in zip(order, MINUTES, strict=False)
    ]


@pytest.mark.parametrize(
    ("order", "inbound", "outbound", "waiting"),
    [
        ("", None, None, None),
        ("ii", 0, None, 0),
        ("iio", 0, 2, None),
        ("iioii", 0, 2, 3),
        ("oi", 1, 0, 1),
        ("oo", None, 0, None),
    ],
)
def test_who_spoke_first_and_who_waits(
    order: str, inbound: int | None, outbound: int | None, waiting: int | None
) -> None:
    expected = [None if n is None else MINUTES[n] for n in (inbound, outbound, waiting)]
    assert talk(said(order)) == Talk(*expected)


def test_a_first_response_is_of_who_opened_the_session() -> None:
    for first, second in pairwise(MINUTES):
        assert first_response_seconds("customer", first, second) == 60
        assert first_response_seconds("customer", second, first) == 0  # told in another order
        for opened_by in ("agent", "phone", "api"):
            assert first_response_seconds(opened_by, first, second) is None
    assert first_response_seconds("customer", NOON, None) is None
    assert first_response_seconds("customer", None, NOON) is None
