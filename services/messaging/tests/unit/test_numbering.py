"""Where history stands in a conversation."""

import pytest
from crm_messaging.history.numbering import Shift, number


class TestNumber:
    @pytest.mark.parametrize(
        ("befores", "head", "tail", "places"),
        [
            ([None, None], None, 0, (-1, 0)),  # the conversation begins with history
            ([1, 1, 1], 1, 7, (-2, -1, 0)),  # older than all that is there
            ([-2], -2, 7, (-3,)),  # older history still
        ],
    )
    def test_stands_in_front_and_moves_nothing(
        self, befores: list[int | None], head: int | None, tail: int, places: tuple[int, ...]
    ) -> None:
        numbers = number(befores, head=head, tail=tail, read_seq=tail)
        assert (numbers.places, numbers.shifts) == (places, ())
        assert (numbers.inserted, numbers.read) == (0, 0)

    def test_stands_in_between_and_what_is_behind_moves_up(self) -> None:
        """1 2 3 4 with one in front, two before 3, one before 4 and one behind them all."""
        numbers = number([1, 3, 3, 4, None], head=1, tail=4, read_seq=3)
        assert numbers.places == (0, 3, 4, 6, 8)
        assert numbers.shifts == (Shift(3, 4, 2), Shift(4, 5, 3))
        assert (numbers.inserted, numbers.read) == (4, 2)
        moved = {seq + s.by for s in numbers.shifts for seq in range(s.first, s.end)}
        assert sorted({1, 2, *moved, *numbers.places}) == list(range(9))

    def test_behind_all_moves_nothing(self) -> None:
        numbers = number([None, None], head=1, tail=2, read_seq=2)
        assert (numbers.places, numbers.shifts) == ((3, 4), ())
        assert (numbers.inserted, numbers.read) == (2, 0)
