"""What messaging's tests share: the other services' events, and a look at what was stored."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from asyncpg import Record
from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.incoming import Event, EventHandler
from shared_events.channels.traffic import (
    ChannelMessageReceived,
    ChannelMessageStatusReported,
    Person,
    TrafficChannel,
)
from shared_events.contacts.contact import Identity
from shared_events.envelope import Envelope, EventData

from crm_testing.services import event_of

PHONE = "5511988880001"


class Scene:
    """One tenant with one channel, and the database messaging keeps for it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tenant_id = str(uuid4())
        self.channel = TrafficChannel(id=uuid4(), name="Loja", session_timeout_seconds=1800)

    def received(
        self,
        content: str = "Olá",
        *,
        phone: str | None = PHONE,
        lid: str | None = None,
        external_id: str | None = None,
        **changes: Any,
    ) -> ChannelMessageReceived:
        """A customer's text, as channels tells it."""
        identities = [Identity(kind="phone", value=phone)] if phone else []
        identities += [Identity(kind="lid", value=lid)] if lid else []
        values = {
            "channel": self.channel,
            "chat_id": f"{phone}@c.us" if phone else f"{lid}@lid",
            "external_id": external_id or uuid4().hex,
            "direction": "inbound",
            "origin": "customer",
            "person": Person(identities=identities, push_name="Ana"),
            "content_type": "text",
            "content": content,
            "sent_at": datetime.now(UTC),
            **changes,
        }
        return ChannelMessageReceived.model_validate(values)

    def receipt(
        self, external_id: str, status: str, **changes: Any
    ) -> ChannelMessageStatusReported:
        """A receipt, as channels tells it."""
        values = {
            "channel_id": self.channel.id,
            "external_id": external_id,
            "from_us": True,
            "status": status,
            "occurred_at": datetime.now(UTC),
            **changes,
        }
        return ChannelMessageStatusReported.model_validate(values)

    def events(self, datas: Sequence[EventData], seq: int = 1) -> list[Event[Any]]:
        """The events as a consumer hands them over."""
        return [
            Event(envelope.event_id, envelope.tenant_id, envelope, {}, Cause("request-1"))
            for envelope in (self.envelope(data, seq + n) for n, data in enumerate(datas))
        ]

    def envelope(self, data: EventData, seq: int = 1) -> Envelope[Any]:
        """An event as it travels."""
        return event_of(self.tenant_id, data, seq)

    async def apply(self, handler: EventHandler[Any], *datas: EventData, seq: int = 1) -> None:
        """Let a handler apply these events in one transaction."""
        async with self.database.tenant(self.tenant_id) as tx:
            await handler(tx, self.events(datas, seq))

    async def silence(self, seconds: float) -> None:
        """Let everybody have been silent for so long, and the sweep look at all sessions."""
        async with self.database.tenant(self.tenant_id) as tx:
            await tx.execute(
                "UPDATE sessions SET check_at = now(),"
                " last_interaction_at = now() - make_interval(secs => $1)",
                seconds,
            )

    async def waits_for_a_lock(self) -> bool:
        """Whether somebody on this database waits for a row or a key of another transaction."""
        waiting = await self.rows(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(waiting)

    async def rows(self, query: str, *values: object) -> list[Record]:
        """What the tenant sees in the database."""
        async with self.database.tenant(self.tenant_id, read_only=True) as tx:
            return await tx.fetch(query, *values)

    async def messages(self) -> list[Record]:
        """All messages, as they came."""
        return await self.rows("SELECT * FROM messages ORDER BY created_at, session_id, seq")

    async def sessions(self) -> list[Record]:
        """All sessions, oldest first."""
        return await self.rows("SELECT * FROM sessions ORDER BY started_at")

    async def told(self, *, since: int = 0) -> list[str]:
        """The types of the events written to the outbox, in order."""
        return [row["event_type"] for row in await self.outbox()][since:]

    async def outbox(self) -> list[Record]:
        """The events written to the outbox, in order."""
        return await self.rows("SELECT * FROM outbox_events ORDER BY seq")


def session_id_of(row: Record) -> UUID:
    """The session an event tells of."""
    found: UUID = row["aggregate_id"]
    return found
