import asyncio
import time
from itertools import pairwise

import pytest
from prometheus_client import REGISTRY
from service_kit import supervision
from service_kit.supervision import Supervisor, TaskFailsError


def restarts(name: str) -> float:
    return REGISTRY.get_sample_value("crm_task_restarts_total", {"task": name}) or 0.0


class TestSupervisor:
    async def test_starts_over_what_raises_with_a_growing_pause(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supervision, "_FIRST_PAUSE_SECONDS", 0.02)
        begun: list[float] = []
        enough = asyncio.Event()

        async def fail() -> None:
            begun.append(time.monotonic())
            if len(begun) == 4:
                enough.set()
                await asyncio.Event().wait()
            raise ConnectionError("away")

        before = restarts("fragile")
        supervisor = Supervisor()
        supervisor.add("fragile", fail)
        supervisor.start()
        async with asyncio.timeout(60):
            await enough.wait()
        pauses = [b - a for a, b in pairwise(begun)]
        assert all(pause >= 0.02 * 2**n for n, pause in enumerate(pauses))
        assert restarts("fragile") == before + 3
        with pytest.raises(TaskFailsError, match="fragile"):
            await supervisor.check()
        await supervisor.stop()

    async def test_lets_one_that_returns_rest(self) -> None:
        runs: list[int] = []

        async def once() -> None:
            runs.append(1)

        supervisor = Supervisor()
        supervisor.add("once", once)
        supervisor.start()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await supervisor.check()
        await supervisor.stop()
        assert runs == [1]

    async def test_forgives_what_ran_steadily_since(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervision, "_FIRST_PAUSE_SECONDS", 0.0)
        runs: list[int] = []
        mended = asyncio.Event()

        async def fail_thrice() -> None:
            runs.append(1)
            if len(runs) <= 3:
                raise RuntimeError
            mended.set()
            await asyncio.Event().wait()

        supervisor = Supervisor()
        supervisor.add("mended", fail_thrice)
        supervisor.start()
        async with asyncio.timeout(60):
            await mended.wait()
            with pytest.raises(TaskFailsError):
                await supervisor.check()
        monkeypatch.setattr(supervision, "_STEADY_SECONDS", 0.0)  # so long it has run by now
        await supervisor.check()
        await supervisor.stop()

    async def test_ends_one_that_loses_a_cancellation(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supervision, "_CANCEL_SECONDS", 0.05)
        lost: list[int] = []

        async def deaf() -> None:
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    lost.append(1)
                    if len(lost) == 3:
                        raise

        supervisor = Supervisor()
        supervisor.add("deaf", deaf)
        supervisor.start()
        await asyncio.sleep(0)
        await supervisor.stop()
        assert lost == [1, 1, 1]

    async def test_leaves_behind_one_that_never_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervision, "_CANCEL_SECONDS", 0.01)
        released = asyncio.Event()

        async def stubborn() -> None:
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue

        supervisor = Supervisor()
        supervisor.add("stubborn", stubborn)
        supervisor.start()
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await supervisor.stop()
        released.set()

    def test_refuses_a_name_twice(self) -> None:
        async def nothing() -> None:
            return None

        supervisor = Supervisor()
        supervisor.add("one", nothing)
        with pytest.raises(ValueError, match="two standing tasks one"):
            supervisor.add("one", nothing)
