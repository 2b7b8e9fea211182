"""A loop that is kept from going on is late, at once and when it was looked at last."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from service_kit.lag import TICK_SECONDS, Lag


@pytest.fixture
async def lag() -> AsyncIterator[Lag]:
    lag = Lag()
    watching = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    yield lag
    watching.cancel()


def hold_up(seconds: float) -> None:
    """Keep the loop from going on."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


class TestLag:
    async def test_is_seen_within_the_turn_that_takes_so_long(self, lag: Lag) -> None:
        hold_up(TICK_SECONDS + 0.2)
        assert lag.seconds > 0.1

    async def test_is_remembered_until_the_next_look(
        self, lag: Lag, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("service_kit.lag.TICK_SECONDS", 60)
        hold_up(TICK_SECONDS + 0.2)
        for _ in range(10):  # it looks now, and in a minute
            await asyncio.sleep(0)
        assert lag.seconds > 0.1

    async def test_is_none_where_nobody_looks(self) -> None:
        assert Lag().seconds == 0
