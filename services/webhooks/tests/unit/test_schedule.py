import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from crm_webhooks.deliveries.schedule import retry_after, retry_delay, warning
from crm_webhooks.settings import STANDARD_DELAYS_SECONDS


class TestRetryDelay:
    def test_follows_the_schedule_and_ends(self) -> None:
        exact = [
            retry_delay(STANDARD_DELAYS_SECONDS, n, chance=lambda: 0.5)
            for n in range(1, len(STANDARD_DELAYS_SECONDS) + 2)
        ]
        assert exact == [*STANDARD_DELAYS_SECONDS, None]

    def test_spreads_by_a_fifth(self) -> None:
        delays = [retry_delay([100.0], 1) or 0 for _ in range(200)]
        assert 80 <= min(delays) < max(delays) <= 120
        assert len(set(delays)) > 100

    def test_is_never_earlier_than_asked(self) -> None:
        assert retry_delay([5.0], 1, at_least=60) == 60


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("5", 5.0),
            (" 120 ", 120.0),
            ("999999999", 86_400.0),
            ("9" * 400, 86_400.0),
            ("0", None),
            ("-1", None),
            ("abc", None),
            ("", None),
            ("٣", None),
            ("Wed, 21 Oct 2015 07:28:00 GMT", None),
            (None, None),
            ("9" * 8000, 86_400.0),
            ("1e9", None),
            ("inf", None),
            ("nan", None),
            ("5, 6", None),
            ("²", None),
            ("\ud83d", None),
            ("\x00", None),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
            ("Friday, 31-Dec-66 23:59:59 GMT", 86_400.0),
            ("Fri Dec 31 23:59:59 9999", 86_400.0),
            ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
            ("Mon, 01 Jan 0000 00:00:00 GMT", None),
            ("Mon, 99 Jan 2030 00:00:00 GMT", None),
            ("Wed, 21 Oct 2015 07:28:00 +99999999999999999", None),
            ("Wed, 21 Oct 2015 07:28:00 -9999", None),
            ("Wed, 21 Oct 2015 99999999999999999999:28:00 GMT", None),
            ("Wed, " * 1500, None),
        ],
    )
    def test_reads_seconds(self, value: str | None, seconds: float | None) -> None:
        assert retry_after(value) == seconds

    def test_nothing_a_stranger_may_write_raises(self) -> None:
        chance = random.Random(1)
        dates = ["Mon, 01 Jan 2030 00:00:00 GMT", "Mon Jan  1 00:00:00 2030", "-1", "7"]
        for _ in range(20_000):
            text = list(chance.choice(dates))
            for _ in range(chance.randint(1, 6)):
                wild = chance.choice(["9" * 30, "+9999", chr(chance.randrange(0x11000)), ""])
                text[chance.randrange(len(text))] = wild
            found = retry_after("".join(text))
            assert found is None or 0 < found <= 86_400

    def test_reads_a_date(self) -> None:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        date = format_datetime(now + timedelta(seconds=90), usegmt=True)
        assert retry_after(date, now) == 90


class TestWarning:
    @pytest.mark.parametrize(
        ("hopelessness", "percent"),
        [(0.0, 0), (0.499, 0), (0.5, 50), (0.75, 75), (0.899, 75), (0.9, 90), (7.0, 90)],
    )
    def test_is_the_highest_that_was_reached(self, hopelessness: float, percent: int) -> None:
        assert warning(hopelessness) == percent
