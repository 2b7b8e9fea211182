from crm_channels_waha.outbound.channel_sender import Pace

PACE = Pace(
    interval=0, typing=5, unknown_wait=10, retry=2, retry_max=60, give_up=86_400, stop_grace=5
)


class TestPace:
    def test_doubles_the_pause_up_to_the_longest(self) -> None:
        pauses = [PACE.backoff(attempts) for attempts in range(7)]
        assert pauses == [2, 4, 8, 16, 32, 60, 60]

    def test_stays_there_however_often_it_was_tried(self) -> None:
        assert PACE.backoff(32_767) == 60
