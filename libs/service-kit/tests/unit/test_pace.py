"""Who works behind requests gives way to them."""

import asyncio
import time

import pytest
from service_kit.jobs import pace


class TestGivingWay:
    async def test_is_over_at_once_where_nobody_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pace, "PROMPT_SECONDS", 3600.0)  # however slow the machine is
        monkeypatch.setattr(pace, "MOST_SECONDS", 3600.0)
        async with asyncio.timeout(60):
            await pace.give_way(3600.0)

    async def test_lasts_as_long_as_the_work_where_others_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pace, "PROMPT_SECONDS", -1.0)  # as if one were always late
        began = time.monotonic()
        await pace.give_way(0.1)
        assert time.monotonic() - began >= 0.1

    async def test_ends_with_those_who_were_in_the_way(self) -> None:
        over = asyncio.Event()

        async def others() -> None:
            for _ in range(5):
                until = time.monotonic() + 0.05
                while time.monotonic() < until:  # holds the loop, as answers do
                    pass
                await asyncio.sleep(0)
            over.set()

        busy = asyncio.create_task(others())
        await asyncio.sleep(0)
        await pace.give_way(pace.MOST_SECONDS)
        assert over.is_set()
        await busy

    async def test_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pace, "PROMPT_SECONDS", -1.0)
        monkeypatch.setattr(pace, "MOST_SECONDS", 0.05)
        async with asyncio.timeout(60):
            await pace.give_way(3600.0)


class TestSlices:
    async def test_are_all_of_the_items_and_let_others_run_between(self) -> None:
        ran: list[int] = []
        seen: list[int] = []

        async def other() -> None:
            while len(seen) < 60:
                ran.append(len(seen))
                await asyncio.sleep(0)

        answering = asyncio.create_task(other())
        async for some in pace.slices(range(60)):
            assert len(some) <= pace.SLICE
            seen.extend(some)
        await answering
        assert seen == list(range(60))
        assert {25, 50} <= set(ran)
        assert [some async for some in pace.slices(list[int]())] == []
