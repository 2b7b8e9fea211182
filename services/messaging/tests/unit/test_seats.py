"""Who sits where in a group, whatever order it is told in, by whatever id."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from crm_messaging.groups.seats import Seat, Told, seated
from shared_events.identity import WhatsAppId

PHONE, LID = WhatsAppId("phone", "551188880001"), WhatsAppId("lid", "777")
BY_PHONE, BY_LID = "5511988880001@c.us", "777@lid"
DAY = datetime(2026, 7, 23, tzinfo=UTC)


def at(hours: int, *who: WhatsAppId, **changes: Any) -> Told:
    return Told(who or (LID,), DAY + timedelta(hours=hours), **changes)


def told(*all_: Told) -> Seat:
    seat = seated([], all_[0])
    for one in all_[1:]:
        seat = seated([seat], one)
    return seat


class TestSeats:
    def test_are_of_one_person_by_phone_and_by_hidden_id(self) -> None:
        seat = told(at(1), at(2, PHONE, LID, role="admin"), at(3), at(0, PHONE))
        assert (seat.participant, seat.lid, seat.role) == (BY_PHONE, BY_LID, "admin")
        assert seat.joined_at == DAY + timedelta(hours=1)

    def test_become_one_when_they_turn_out_to_be(self) -> None:
        both = [told(at(1, role="admin")), told(at(3, PHONE))]
        for order in (both, both[::-1]):
            seat = seated(order, at(4, PHONE, LID))
            assert (seat.participant, seat.lid, seat.role) == (BY_PHONE, BY_LID, "admin")
            assert seat.joined_at == DAY + timedelta(hours=1)

    @pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
    def test_are_as_the_newest_says(self, order: tuple[int, ...]) -> None:
        said = {1: at(1, role="participant"), 2: at(2, left=True), 3: at(3, role="admin")}
        seat = told(*(said[n] for n in order))
        assert (seat.role, seat.left_at) == ("admin", None)

    def test_are_left_and_taken_again(self) -> None:
        gone = told(at(1, role="admin"), at(2, left=True))
        assert (gone.left_at, gone.role) == (DAY + timedelta(hours=2), "admin")
        assert seated([gone], at(1)) is gone
        back = seated([gone], at(3))
        assert (back.left_at, back.joined_at) == (None, DAY + timedelta(hours=3))

    def test_stay_the_very_same_where_nothing_is_new(self) -> None:
        seat = told(at(1, PHONE, LID, role="admin"))
        for again in (at(2), at(2, PHONE), at(2, role="admin")):
            assert seated([seat], again) == seat
