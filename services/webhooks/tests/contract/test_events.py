"""What this service publishes can be read by others; what others publish, by this service."""

import json
from typing import Any
from uuid import uuid4

import pytest
from crm_fakes.receiver import Answer
from shared_events import registry, topology


class TestPublished:
    async def test_endpoint_disabled_reads_back(
        self, tenant: Any, service: Any, receiver: Any, until: Any
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        receiver.answer(Answer(410))
        await tenant.contact_created()

        async def logged() -> Any:
            async with service.database.tenant(tenant.id) as tx:
                return await tx.fetchrow(
                    "SELECT * FROM outbox_events WHERE event_type = 'webhook.endpoint_disabled'"
                )

        row = await until(logged)
        envelope = registry.parse_any(
            row["event_type"],
            row["event_version"],
            json.dumps(
                {
                    **{name: str(row[name]) for name in ("event_id", "aggregate_id")},
                    "event_type": row["event_type"],
                    "event_version": row["event_version"],
                    "aggregate_type": row["aggregate_type"],
                    "aggregate_seq": row["seq"],
                    "tenant_id": row["tenant_id"],
                    "occurred_at": row["occurred_at"].isoformat(),
                    "data": row["payload"],
                }
            ).encode(),
        )
        assert str(envelope.aggregate_id) == endpoint["id"]
        assert envelope.data.endpoint.disabled_reason == "gone"


class TestConsumed:
    @pytest.mark.parametrize("event", registry.PUBLIC, ids=lambda e: e.event_type)
    async def test_every_public_event_is_delivered(
        self, event: Any, place: Any, tenant: Any, receiver: Any
    ) -> None:
        """Only the envelope is read, so any `data` will do."""
        await tenant.endpoint(receiver.url, event_types=[event.event_type])
        event_id = str(uuid4())
        data = {"n": 2**53 - 1, "text": 'olá ☕ "/\\'}
        await place.publish_event(tenant.id, event, event_id, data)
        got = await receiver.wait_for(lambda r: r.id == event_id)
        assert got.type == event.event_type
        assert got.json["data"] == data

    @pytest.mark.parametrize("event", registry.INTERNAL, ids=lambda e: e.event_type)
    def test_internal_events_are_not_bound(self, event: Any) -> None:
        keys = {key for _, key in topology.WEBHOOKS_OUTBOUND.sources}
        assert event.event_type not in keys
