"""Turns, slots and order, without a clock."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from crm_webhooks.deliveries.lanes import Lane, Lanes, Owed

A, B, C = (UUID(int=n) for n in (1, 2, 3))


def owed(endpoint: UUID, key: UUID | None = None) -> Owed:
    return Owed(
        id=uuid4(),
        tenant_id="t",
        endpoint_id=endpoint,
        endpoint_version=1,
        ordering_key=key or uuid4(),
        event_id=uuid4(),
        event_type="contact.created",
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        body=b"{}",
        attempts=0,
        trace={},
        lease_ends=0.0,
    )


def lanes(slots: int = 8, per_lane: int = 4, backlog: int = 100) -> Lanes:
    return Lanes(slots=slots, per_lane=per_lane, backlog=backlog)


def start_all(given: Lanes) -> list[tuple[Lane, Owed]]:
    started = []
    while (one := given.next()) is not None:
        started.append(one)
    return started


def prove(given: Lanes, *endpoints: UUID) -> None:
    for endpoint in endpoints:
        given[endpoint].remember(0.0, slow=False, delivered=True)


class TestOrder:
    def test_one_ordering_key_goes_one_by_one_in_order(self) -> None:
        given = lanes()
        prove(given, A)
        key = uuid4()
        expected = [owed(A, key) for _ in range(5)]
        for one in expected:
            given.add(one)
        seen = []
        while started := start_all(given):
            assert len(started) == 1
            lane, one = started[0]
            seen.append(one)
            given.finish(lane, one, held_slow=False)
        assert seen == expected
        assert given.size == 0

    def test_what_was_emptied_and_added_again_keeps_its_key_busy(self) -> None:
        given = lanes()
        key = uuid4()
        first, second = owed(A, key), owed(A, key)
        given.add(first)
        given.add(second)
        ((lane, started),) = start_all(given)
        assert given.give_back(lane) == [second]
        given.add(second)
        assert start_all(given) == []
        given.finish(lane, started, held_slow=False)
        assert start_all(given) == [(lane, second)]


class TestTurns:
    def test_lanes_take_turns(self) -> None:
        given = lanes(slots=8, per_lane=4)
        prove(given, A, B)
        for _ in range(10):
            given.add(owed(A))
        for _ in range(10):
            given.add(owed(B))
        order = [one.endpoint_id for _, one in start_all(given)]
        assert order == [A, B, A, B, A, B]  # a quarter of the slots is for slow lanes

    def test_a_lane_shows_itself_with_two_first(self) -> None:
        given = lanes()
        for _ in range(5):
            given.add(owed(A))
        assert len(start_all(given)) == 2


class TestSlowLanes:
    def test_share_a_quarter_of_the_slots(self) -> None:
        given = lanes(slots=8)
        for endpoint in (A, B, C):
            prove(given, endpoint)
        for endpoint in (A, B):
            given[endpoint].remember(0.0, slow=True, delivered=True)
        for endpoint in (A, A, A, B, B, B, C, C, C):
            given.add(owed(endpoint))
        started = [one.endpoint_id for _, one in start_all(given)]
        assert started.count(C) == 3
        assert len(started) == 5

    def test_an_attempt_that_turns_slow_frees_its_slot(self) -> None:
        given = lanes(slots=4, per_lane=3)
        prove(given, A, B)
        for _ in range(3):
            given.add(owed(A))
        assert len(start_all(given)) == 3
        given.add(owed(B))
        assert start_all(given) == []
        given.turn_slow()
        assert [one.endpoint_id for _, one in start_all(given)] == [B]

    def test_only_failures_leave_one_probe(self) -> None:
        given = lanes(slots=100)
        for _ in range(5):
            given[A].remember(0.0, slow=True, delivered=False)
        for _ in range(5):
            given.add(owed(A))
        assert len(start_all(given)) == 1
        assert given.room_for(A, now=0.0) == 0

    def test_recover_after_quick_successes(self) -> None:
        given = lanes()
        given[A].remember(0.0, slow=True, delivered=False)
        assert given[A].slow
        for _ in range(10):
            prove(given, A)
        assert not given[A].slow


class TestFailing:
    def test_on_and_on_earns_a_pause_that_grows_to_its_bound(self) -> None:
        lane = lanes()[A]
        pauses = []
        for _ in range(2000):
            lane.remember(0.001, slow=False, delivered=False)
            pauses.append(lane.pause)
        assert pauses[:9] == [None] * 9
        assert pauses[9:15] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0]
        assert pauses[-1] == 15.0

    def test_is_over_with_one_success(self) -> None:
        given = lanes(slots=100, per_lane=8)
        for _ in range(50):
            given[A].remember(0.001, slow=False, delivered=False)
        assert given[A].limit(8) == 1
        prove(given, A)
        assert (given[A].pause, given[A].limit(8)) == (None, 8)


class TestRoom:
    def test_is_bounded(self) -> None:
        given = lanes(backlog=10)
        for _ in range(5):
            given.add(owed(A))
        prove(given, A)
        assert given.room_for(A, now=0.0) == 0
        assert given.room == 5
        assert given.room_for(B, now=0.0) == 4

    def test_of_an_endpoint_nobody_knows_is_a_fiftieth(self) -> None:
        given = lanes(backlog=2000)
        assert given.room_for(A, now=0.0) == given.room_for_new == 40
        given.add(owed(A))
        assert given.room_for(A, now=0.0) == 39
        assert given.rooms(0.0) == {A: 39}

    @pytest.mark.parametrize(("seconds", "most"), [(0.0, 1000), (0.4, 1000), (0.5, 8), (1.9, 8)])
    def test_of_one_that_is_not_quick_is_for_two_rounds(self, seconds: float, most: int) -> None:
        given = lanes(backlog=2000)
        for _ in range(10):
            given[A].remember(seconds, slow=False, delivered=True)
        assert given.room_for(A, now=0.0) == most

    def test_is_given_up_by_who_became_slower(self) -> None:
        given = lanes(backlog=2000)
        prove(given, A)
        for _ in range(500):
            given.add(owed(A))
        assert not given.overfull(given[A])
        for _ in range(20):
            given[A].remember(1.9, slow=False, delivered=True)
        assert given.overfull(given[A])

    @pytest.mark.parametrize(("slow", "given_up"), [(False, False), (True, True)])
    def test_that_anybody_new_has_is_given_up_by_the_slow_alone(
        self, slow: bool, given_up: bool
    ) -> None:
        given = lanes(backlog=2000)
        for _ in range(given.room_for_new):
            given.add(owed(A))
        given[A].remember(0.6, slow=slow, delivered=True)
        assert given.room_for(A, now=0.0) == 0
        assert given.overfull(given[A]) is given_up

    def test_of_a_limited_one_is_for_what_can_start_at_once(self) -> None:
        given = lanes(backlog=2000, per_lane=4)
        prove(given, A)
        assert given.room_for(A, now=0.0) == 1000
        given[A].limited = True
        assert given.room_for(A, now=0.0) == 4

    def test_there_is_none_while_paused(self) -> None:
        given = lanes()
        given[A].paused_until = 5.0
        assert given.room_for(A, now=4.0) == 0
        assert given.room_for(A, now=6.0) > 0


class TestGivingBack:
    def test_takes_what_waits_and_leaves_what_is_under_way(self) -> None:
        given, key = lanes(), uuid4()
        under_way, waits, another = owed(A, key), owed(A, key), owed(B)
        for one in (under_way, waits, another):
            given.add(one)
        (lane, started), _ = start_all(given)
        assert started == under_way
        assert given.give_back(lane) == [waits]
        assert given.size == 2
        given.finish(lane, under_way, held_slow=False)
        assert given.next() is None

    def test_makes_no_room_until_all_of_it_is_released(self) -> None:
        given = lanes()
        waiting = [owed(A), owed(A)]
        for one in waiting:
            given.add(one)
        given.give_back(given[A])
        given.returned(waiting[:1])
        assert (given.room_for(A, now=0.0), given.rooms(now=0.0)) == (0, {A: 0})
        given.returned(waiting[1:])
        assert given.room_for(A, now=0.0) > 0

    def test_goes_before_what_was_leased_meanwhile(self) -> None:
        """Also when it is released before that arrives."""
        given = lanes()
        given.add(first := owed(A))
        before = given.returns
        given.give_back(given[A])
        given.returned([first])
        assert given.overtakes(owed(A), before)
        assert not given.overtakes(owed(B), before)
        assert not given.overtakes(owed(A), given.returns)
