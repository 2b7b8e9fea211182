from uuid import UUID

import pytest
from crm_messaging.sessions.sharing import Load, share

A, B, C = (UUID(int=n) for n in (1, 2, 3))
MODES = ("round_robin", "least_busy")


def agents(**held: int) -> list[Load]:
    ids = {"a": A, "b": B, "c": C}
    return [Load(ids[name], count) for name, count in held.items()]


class TestShare:
    def test_goes_round_behind_who_was_last_and_skips_who_is_full(self) -> None:
        everybody = agents(c=0, a=9, b=2)
        assert share("round_robin", 5, everybody, at_most=20, last=None) == [A, B, C, A, B]
        assert share("round_robin", 3, everybody, at_most=20, last=B) == [C, A, B]
        assert share("round_robin", 4, everybody, at_most=9, last=C) == [B, C, B, C]
        gone = UUID(int=2**127)
        assert share("round_robin", 1, everybody, at_most=20, last=gone) == [A]

    def test_gives_to_who_has_fewest_and_among_those_goes_round(self) -> None:
        everybody = agents(a=2, b=0, c=1)
        assert share("least_busy", 6, everybody, at_most=20, last=None) == [B, C, B, C, A, B]
        assert share("least_busy", 3, agents(a=1, b=1, c=1), at_most=20, last=A) == [B, C, A]

    @pytest.mark.parametrize("mode", MODES)
    def test_gives_nobody_more_than_may_be(self, mode: str) -> None:
        given = share(mode, 100, agents(a=3, b=1, c=7), at_most=4, last=None)
        assert sorted(given) == [A, B, B, B]

    @pytest.mark.parametrize("mode", MODES)
    def test_gives_nothing_where_there_is_nothing_or_nobody(self, mode: str) -> None:
        assert share(mode, 0, agents(a=0), at_most=4, last=None) == []
        assert share(mode, 3, [], at_most=4, last=A) == []
