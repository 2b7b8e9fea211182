"""What the tests of contacts share: a company whose customers write to it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.incoming import Event, EventHandler
from shared_events import topology
from shared_events.channels.traffic import ChannelMessageReceived, Person, TrafficChannel
from shared_events.contacts.contact import Identity, ListContacts
from shared_events.envelope import EventData

from crm_testing.services import Company, event_of, eventually


class Shop(Company):
    """A company whose customers write to it."""

    @staticmethod
    def message(*identities: tuple[str, str], **said: Any) -> ChannelMessageReceived:
        """A message of a person with these (kind, value) identities."""
        push_name = said.pop("push_name", None)
        known = [
            Identity.model_validate({"kind": kind, "value": value}) for kind, value in identities
        ]
        fields: dict[str, Any] = {
            "channel": TrafficChannel(id=UUID(int=1), name="Vendas", session_timeout_seconds=1800),
            "chat_id": f"{identities[0][1]}@c.us",
            "external_id": uuid4().hex,
            "direction": "inbound",
            "origin": "customer",
            "person": Person(identities=known, push_name=push_name),
            "content_type": "text",
            "content": "Oi",
            "sent_at": datetime.now(UTC),
        }
        return ChannelMessageReceived(**{**fields, **said})

    async def receive(self, *identities: tuple[str, str], **said: Any) -> UUID:
        """A person with these identities writes; waits until it has its effect."""
        event_id = await self.publish(self.message(*identities, **said))
        await eventually(lambda: self.applied(event_id, topology.CONTACTS_CHANNEL_EVENTS.name))
        return event_id

    async def applied(self, event_id: UUID, consumer: str) -> bool:
        """Whether this consumer has applied this event."""
        rows = await self.rows(
            "SELECT 1 FROM processed_events WHERE event_id = $1 AND consumer_name = $2",
            event_id,
            consumer,
        )
        return bool(rows)

    async def waits_for_a_lock(self) -> bool:
        """Whether somebody on this database waits for a row or a key of another transaction."""
        waiting = await self.rows(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(waiting)

    async def contacts(self, **query: Any) -> list[dict[str, Any]]:
        """The contacts a list shows."""
        data: list[dict[str, Any]] = (await self.value(ListContacts(**query)))["data"]
        return data


def delivered(tenant_id: str, data: EventData) -> Event[Any]:
    """What a company is told, as its handler is given it."""
    envelope = event_of(tenant_id, data)
    return Event(envelope.event_id, tenant_id, envelope, {}, Cause("req-told", envelope.event_id))


async def apply(
    database: Database, handler: EventHandler[Any], events: Sequence[Event[Any]]
) -> None:
    """A batch as the consumer applies it: in one transaction, for all companies in it."""
    async with database.tenants(sorted({event.tenant_id for event in events})) as tx:
        await handler(tx, events)
