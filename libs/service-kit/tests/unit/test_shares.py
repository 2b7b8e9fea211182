from collections.abc import Iterable

import pytest
from service_kit.shares import Shares


def held_by(whose: Iterable[str], shares: Shares, most: int = 60) -> dict[str, int]:
    """How many each gets who take turns until nobody gets any more."""
    held = dict.fromkeys(whose, 0)
    while wanting := [each for each in held if shares.has_room(each, most)]:
        for each in wanting:
            if shares.has_room(each, most):
                shares.take(each)
                held[each] += 1
    return held


class TestShares:
    @pytest.mark.parametrize(("whose", "each"), [("a", 30), ("ab", 20), ("abcde", 10)])
    def test_of_who_want_all_are_equal_and_leave_one_to_another(
        self, whose: str, each: int
    ) -> None:
        shares = Shares()
        assert held_by(whose, shares) == dict.fromkeys(whose, each)
        assert held_by("z", shares)["z"] == each // 2

    def test_come_back(self) -> None:
        shares = Shares()
        for whose, count in held_by("abc", shares).items():
            for _ in range(count):
                shares.give_back(whose)
        assert held_by("d", shares) == {"d": 30}

    def test_of_fewer_places_than_are_held_are_nobodys(self) -> None:
        shares = Shares()
        held_by("ab", shares)
        assert not shares.has_room("z", most=40)
