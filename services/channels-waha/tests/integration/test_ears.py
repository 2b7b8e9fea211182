"""Whether we would hear, before anybody is taken for deaf."""

import pytest
from crm_channels_waha.liveness import ears
from service_kit.service import Service
from shared_events import topology


class TestListening:
    async def test_we_hear_while_nothing_gathers(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queues = [part.name for part in topology.WAHA_MESSAGES.partitions(topology.PARTITIONS)]
        assert await ears.listening(service, queues)
        assert not await ears.listening(service, ["no.such.queue"])
        with monkeypatch.context() as patch:
            patch.setattr(ears, "_MOST_WAITING", -1)
            assert not await ears.listening(service, queues)
        with monkeypatch.context() as patch:
            patch.setattr(service.health, "draining", True)
            assert not await ears.listening(service, queues)
