"""What the tests of webhooks share: a company with endpoints, to which things happen."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from shared_events import registry, topology
from shared_events.contacts.contact import Contact, ContactCreated
from shared_events.envelope import EventData
from shared_events.webhooks.delivery import GetDelivery, ListDeliveries
from shared_events.webhooks.endpoint import CreateEndpoint

from crm_testing.services import Company, eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The trace of what happens."""


class Tenant(Company):
    """A company with webhook endpoints; things happen to its contacts."""

    async def endpoint(self, url: str, **fields: Any) -> dict[str, Any]:
        """An endpoint of this company, enabled."""
        return await self.value(CreateEndpoint.model_validate({"url": url, **fields}))

    async def contact_created(self, *, contact_id: UUID | None = None, count: int = 1) -> list[str]:
        """Tell `contact.created` through the service's own outbox, relay and broker."""
        async with self.database.tenant(self.id) as tx:
            return [
                str(tx.outbox.add(ContactCreated(contact=contact), contact.id))
                for contact in (_contact(contact_id or uuid4()) for _ in range(count))
            ]

    async def publish_contact_created(self, *, times: int = 1, quiet: bool = False) -> str:
        """Put `contact.created` on the bus as a relay does, `times` over; returns its id."""
        envelope = self.envelope(ContactCreated(contact=_contact(uuid4()), quiet=quiet))
        await asyncio.gather(*(self.outside.publish(envelope) for _ in range(times)))
        return str(envelope.event_id)

    async def publish_traced(self, correlation_id: str, **trace: str) -> str:
        """Put `contact.created` on the bus with what strangers wrote beside it; returns its id."""
        envelope = self.envelope(ContactCreated(contact=_contact(uuid4())))
        named = {"event_type": envelope.event_type, "event_id": str(envelope.event_id)}
        await self.outside.publisher.publish(
            topology.event_exchange(envelope.event_type),
            envelope.event_type,
            envelope.model_dump_json().encode(),
            message_id=str(envelope.event_id),
            correlation_id=correlation_id,
            headers={**named, "event_version": "1", "tenant_id": self.id, **trace},
        )
        return str(envelope.event_id)

    async def happens(
        self,
        event_type: str,
        causation_id: UUID,
        *,
        event_id: UUID | None = None,
        correlation_id: str = "req-1",
        **data: Any,
    ) -> UUID:
        """Put an event on the bus that follows from another, whatever it says; returns its id."""
        event, event_id = registry.BY_TYPE[event_type, "1"], event_id or uuid4()
        named = {"event_type": event_type, "event_version": "1", "event_id": str(event_id)}
        body = {
            **named,
            "aggregate_id": str(uuid4()),
            "aggregate_type": event.aggregate_type,
            "aggregate_seq": 1,
            "tenant_id": self.id,
            "occurred_at": "2026-11-29T12:00:00Z",
            "correlation_id": correlation_id,
            "causation_id": str(causation_id),
            "data": data,
        }
        traceparent = f"00-{TRACE}-00f067aa0ba902b7-01"
        await self.outside.publisher.publish(
            topology.event_exchange(event_type),
            event_type,
            orjson.dumps(body),
            message_id=str(event_id),
            headers={**named, "tenant_id": self.id, "traceparent": traceparent},
        )
        return event_id

    async def publish_anything(self, event: type[EventData], data: dict[str, Any]) -> str:
        """Put an event on the bus whose data may be anything; returns its id."""
        template = self.envelope(ContactCreated(contact=_contact(uuid4())))
        named = {"event_type": event.event_type, "aggregate_type": event.aggregate_type}
        body = {**template.model_dump(mode="json"), **named, "data": data}
        await self.outside.publish_body(
            orjson.dumps(body),
            event_type=event.event_type,
            event_id=template.event_id,
            tenant_id=self.id,
        )
        return str(template.event_id)

    async def deliveries(self, endpoint: dict[str, Any], **filters: Any) -> list[dict[str, Any]]:
        """What is or was owed to an endpoint, newest first."""
        request = ListDeliveries(endpoint_id=endpoint["id"], **filters)
        found: list[dict[str, Any]] = (await self.value(request))["data"]
        return found

    async def settled(self, endpoint: dict[str, Any], status: str = "delivered") -> dict[str, Any]:
        """Its one delivery, with the attempts, once it has this status."""

        async def has_status() -> bool:
            found = await self.deliveries(endpoint)
            return bool(found) and found[0]["status"] == status

        await eventually(has_status)
        newest = (await self.deliveries(endpoint))[0]
        return await self.value(GetDelivery(delivery_id=newest["id"]))


def _contact(contact_id: UUID) -> Contact:
    now = datetime.now(UTC)
    return Contact(
        id=contact_id, name="Zé ☕", source="test", version=1, created_at=now, updated_at=now
    )
