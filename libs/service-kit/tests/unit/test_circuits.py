from contextlib import ExitStack, suppress

import pytest
from service_kit import circuits
from service_kit.circuits import (
    LEAST_IN_FLIGHT,
    MOST_IN_FLIGHT,
    MOST_SILENCES,
    SLOW_SECONDS,
    Circuits,
)
from service_kit.errors import UnavailableError


def silence(
    all_of_them: Circuits, service: str, times: int = MOST_SILENCES, whose: str = "a"
) -> None:
    for _ in range(times):
        with suppress(TimeoutError), all_of_them.call(service, whose):
            raise TimeoutError


def refusal(all_of_them: Circuits, service: str, whose: str = "a") -> str | None:
    """The code of the refusal, or None for a call that may go and is answered."""
    try:
        with all_of_them.call(service, whose):
            return None
    except UnavailableError as error:
        return error.problem.code


def room(them: Circuits) -> int:
    """How many calls one company alone may have at once."""
    with ExitStack() as waiting:
        for count in range(MOST_IN_FLIGHT):
            try:
                waiting.enter_context(them.call("contacts", "a"))
            except UnavailableError:
                return count
    raise AssertionError("there is no end")


class TestBulkhead:
    def test_is_each_services_own(self) -> None:
        them = Circuits()
        with ExitStack() as waiting:
            for _ in range(MOST_IN_FLIGHT // 2):
                waiting.enter_context(them.call("contacts", "a"))
            assert refusal(them, "contacts") == "too_busy"
            assert refusal(them, "messaging") is None
        assert refusal(them, "contacts") is None

    def test_has_room_for_a_company_that_others_leave_none(self) -> None:
        them = Circuits()
        with ExitStack() as waiting:
            for whose in "abcd":
                while refusal(them, "contacts", whose) is None:
                    waiting.enter_context(them.call("contacts", whose))
            for _ in range(MOST_IN_FLIGHT // 32):
                waiting.enter_context(them.call("contacts", "e"))


class TestPlaces:
    """A service has as many as it answers in good time."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [100.0]
        monkeypatch.setattr(circuits, "monotonic", lambda: now[0])
        return now

    def test_slow_answers_take_them_and_quick_ones_give_them_back(self, clock: list[float]) -> None:
        them = Circuits()
        self.answer(them, clock, SLOW_SECONDS, 100)
        assert room(them) == LEAST_IN_FLIGHT // 2
        self.answer(them, clock, 0.01, MOST_IN_FLIGHT)
        assert room(them) == MOST_IN_FLIGHT // 2

    def test_a_few_slow_ones_among_many_take_none(self, clock: list[float]) -> None:
        them = Circuits()
        for _ in range(100):
            self.answer(them, clock, SLOW_SECONDS, 1)
            self.answer(them, clock, 0.01, 19)
        assert room(them) > MOST_IN_FLIGHT // 2 - 10

    def test_a_pause_takes_a_fifth_however_many_wait_for_its_end(self, clock: list[float]) -> None:
        them = Circuits()
        with ExitStack() as waiting:
            for _ in range(100):
                waiting.enter_context(them.call("contacts", "a"))
            clock[0] += 3 * SLOW_SECONDS
        assert room(them) == int(0.8 * MOST_IN_FLIGHT) // 2

    def answer(self, them: Circuits, clock: list[float], seconds: float, times: int) -> None:
        for _ in range(times):
            with them.call("contacts", "a"):
                clock[0] += seconds


class TestBreaker:
    def test_opens_after_so_many_silences_for_that_service_alone(self) -> None:
        them = Circuits()
        silence(them, "contacts", MOST_SILENCES - 1)
        assert refusal(them, "contacts") is None
        silence(them, "contacts")
        assert refusal(them, "contacts") == "service_unavailable"
        assert refusal(them, "messaging") is None

    def test_counts_silences_in_a_row(self) -> None:
        them = Circuits()
        for _ in range(3):
            silence(them, "contacts", MOST_SILENCES - 1)
            assert refusal(them, "contacts") is None

    def test_tries_with_one_call_after_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 100.0
        monkeypatch.setattr(circuits, "monotonic", lambda: now)
        them = Circuits()
        silence(them, "contacts")
        now += circuits.OPEN_SECONDS
        with them.call("contacts", "a"):
            assert refusal(them, "contacts") == "service_unavailable"
        assert refusal(them, "contacts") is None

    def test_stays_open_when_the_trial_is_not_answered(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 100.0
        monkeypatch.setattr(circuits, "monotonic", lambda: now)
        them = Circuits()
        silence(them, "contacts")
        now += circuits.OPEN_SECONDS
        silence(them, "contacts", 1)
        assert refusal(them, "contacts") == "service_unavailable"

    def test_is_not_moved_by_other_failures(self) -> None:
        them = Circuits()
        for _ in range(2 * MOST_SILENCES):
            with suppress(UnavailableError), them.call("contacts", "a"):
                raise UnavailableError("broker_unavailable", "away")
        assert refusal(them, "contacts") is None
