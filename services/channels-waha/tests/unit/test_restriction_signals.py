"""What WAHA says of restrictions, in the shapes it may take."""

from datetime import UTC, datetime
from typing import Any

import pytest
from crm_channels_waha.waha.answers import Answer, Restricted, Unknown, judge
from crm_channels_waha.waha.meaning import Restriction
from crm_channels_waha.waha.restriction import read_error, read_timelock
from crm_channels_waha.waha.session import WahaSession

AT = datetime(2026, 7, 23, 12, tzinfo=UTC)
ENDS = datetime(2026, 7, 24, 12, tzinfo=UTC)
SECONDS = ENDS.timestamp()
UNNAMED = "account_restricted"


@pytest.mark.parametrize(
    ("lock", "expected"),
    [
        ({"isActive": True, "timeEnforcementEnds": SECONDS, "enforcementType": "X"}, (ENDS, "X")),
        ({"isActive": True, "timeEnforcementEnds": None}, (None, UNNAMED)),
        ({"isActive": True, "timeEnforcementEnds": "soon", "enforcementType": 7}, (None, UNNAMED)),
        ({"isActive": True, "enforcementType": "x" * 99}, (None, "x" * 50)),
    ],
)
def test_timelock(lock: dict[str, Any], expected: tuple[datetime | None, str]) -> None:
    assert read_timelock(lock, AT) == Restriction(True, *expected, AT)
    session = WahaSession.read({"status": "WORKING", "me": {"reachoutTimelock": lock}})
    assert session.restriction == Restriction(True, *expected, None)


@pytest.mark.parametrize("lock", [{}, {"isActive": None}, {"isActive": "yes"}])
def test_timelock_that_says_nothing(lock: dict[str, Any]) -> None:
    assert read_timelock(lock, AT) is None


def test_timelock_that_is_over() -> None:
    told = read_timelock({"isActive": False, "timeEnforcementEnds": None}, AT)
    assert told is not None
    assert not told.is_active


@pytest.mark.parametrize(
    ("error", "until"),
    [
        ({"code": "463", "until": "2026-07-24T12:00:00.000Z"}, ENDS),
        ({"code": 463, "until": "2026-07-24T12:00:00"}, ENDS),
        ({"code": 463, "until": SECONDS}, ENDS),
        ({"code": "463", "until": "later"}, None),
        ({"code": "463"}, None),
    ],
)
def test_error_of_an_ack(error: dict[str, Any], until: datetime | None) -> None:
    assert read_error(error, AT) == Restriction(True, until, UNNAMED, AT)


@pytest.mark.parametrize("error", [{}, {"code": "470"}, {"code": None, "reason": "463"}])
def test_error_about_something_else(error: dict[str, Any]) -> None:
    assert read_error(error, AT) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("server returned error 463", Restricted),
        ("463", Restricted),
        ("rate-overlimit", Unknown),
        ("no LID found for 5511946300000", Unknown),
    ],
)
def test_answer(message: str, expected: type[Unknown]) -> None:
    body = b'{"exception": {"message": "%s"}}' % message.encode()
    verdict = judge(Answer(500, "", body))
    assert type(verdict) is expected
