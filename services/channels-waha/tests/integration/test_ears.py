"""Whether we would hear, before anybody is taken for deaf."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from crm_channels_waha.hearing.repository import Patience
from crm_channels_waha.liveness import ears
from crm_channels_waha.liveness.watch import Watch
from crm_testing.scenes.channels import Shop
from crm_testing.services import eventually
from service_kit.service import Service
from shared_events import topology


class TestListening:
    async def test_we_hear_while_nothing_gathers(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queues = [part.name for part in topology.WAHA_MESSAGES.partitions(topology.PARTITIONS)]

        async def hears() -> bool:
            return await ears.listening(service, queues)

        await eventually(hears)
        assert not await ears.listening(service, ["no.such.queue"])
        with monkeypatch.context() as patch:
            patch.setattr(ears, "_MOST_WAITING", -1)
            assert not await ears.listening(service, queues)
        with monkeypatch.context() as patch:
            patch.setattr(service.health, "draining", True)
            assert not await ears.listening(service, queues)


class TestEars:
    async def test_nobody_is_looked_at_before_we_have_heard_for_a_while(
        self, company: Shop, watch: Watch
    ) -> None:
        await company.connect()

        async def looked_at() -> Any:
            (row,) = await company.rows("SELECT looked_at FROM hearings")
            return row["looked_at"]

        answers, asked = iter([True, False, False]), 0

        async def hears_again() -> bool:
            nonlocal asked
            asked += 1
            if asked <= 4:  # once is not for a while
                assert await looked_at() is None
            return next(answers, True)

        patience = Patience(0.001, 0.01, 0.05, 3600, 7200)
        looking = replace(watch, patience=patience, ears=hears_again)
        task = asyncio.create_task(looking.run())
        try:
            await eventually(looked_at)
        finally:
            task.cancel()
        assert asked > 4
