from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from crm_messaging.messages.strays.order import Message, Numbered, Stray, in_order

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIRST, SECOND = uuid4(), uuid4()


def numbered(seq: int, second: float) -> Numbered:
    at = NOON + timedelta(seconds=second)
    return Numbered(uuid4(), FIRST, seq, created_at=at, placed_at=at)


def stray(seq: int, second: float, session: UUID = FIRST) -> Stray:
    at = NOON + timedelta(seconds=second)
    return Stray(uuid4(), session, FIRST, FIRST, "", seq, "inbound", sent_at=NOON, created_at=at)


def shown(messages: list[Message]) -> list[tuple[str, int]]:
    return [("n" if isinstance(each, Numbered) else "s", each.seq) for each in messages]


def test_strays_stand_where_they_were_stored() -> None:
    behind = [numbered(8, 3), numbered(7, 1)]
    strays = [stray(12, 4), stray(10, 0), stray(11, 2)]
    assert shown(in_order(behind, strays)) == [
        *(("s", 10), ("n", 7), ("s", 11), ("n", 8), ("s", 12)),
    ]


def test_of_one_moment_the_numbered_one_is_first() -> None:
    assert shown(in_order([numbered(3, 1)], [stray(1, 1)])) == [("n", 3), ("s", 1)]


def test_numbered_ones_never_pass_each_other() -> None:
    behind = [numbered(1, 5), numbered(2, 1), numbered(3, 6)]
    assert shown(in_order(behind, [stray(9, 3)])) == [("s", 9), ("n", 1), ("n", 2), ("n", 3)]
    assert shown(in_order(behind, [stray(9, 5.5)])) == [("n", 1), ("n", 2), ("s", 9), ("n", 3)]


def test_strays_of_one_session_never_pass_each_other() -> None:
    strays = [stray(2, 1), stray(1, 5), stray(3, 6), stray(1, 2, SECOND)]
    ordered = in_order([], strays)
    assert shown([each for each in ordered if isinstance(each, Stray)]) == [
        *(("s", 1), ("s", 1), ("s", 2), ("s", 3)),
    ]
    assert [each.session_id for each in ordered if isinstance(each, Stray)] == [
        *(SECOND, FIRST, FIRST, FIRST),
    ]
