"""A broker that is slow is given time; one that is quick has to stay so."""

from service_kit.connection import Patience


class TestPatience:
    def test_is_two_seconds_with_a_broker_that_is_quick(self) -> None:
        patience = Patience()
        patience.answered(0.01)
        assert patience.seconds == 2

    def test_grows_with_each_silence_up_to_half_a_minute(self) -> None:
        patience, allowed = Patience(), []
        for _ in range(5):
            patience.lost()
            allowed.append(patience.seconds)
        assert allowed == [4, 8, 16, 30, 30]

    def test_is_four_times_what_the_last_answer_took(self) -> None:
        patience = Patience()
        patience.answered(1.5)
        assert patience.seconds == 6

    def test_returns_to_two_seconds_within_half_a_minute_of_quick_answers(self) -> None:
        patience = Patience()
        for _ in range(5):
            patience.lost()
        for _ in range(30):
            patience.answered(0.01)
        assert patience.seconds == 2
