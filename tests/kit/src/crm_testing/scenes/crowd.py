"""Companies with a channel each, and what their channels hear, in one batch.

The handlers are called as the consumer calls them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import CHANNELS
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.inbound.consumers import WahaInbox
from crm_channels_waha.inbound.events import WahaEvent
from crm_channels_waha.outbound.consumers import on_message_queued
from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.incoming import Event, Incoming

from crm_testing.costs import counting
from crm_testing.scenes.channels import CUSTOMER, queued_message
from crm_testing.services import event_of

NOW = datetime(2026, 7, 1, tzinfo=UTC)
LID, PHONE = "245896994390182", "5521977770002"
Raw = Incoming[WahaEvent]


@dataclass(frozen=True)
class Tenant:
    """A company with a connected channel; what it hears is built here, and applied elsewhere."""

    id: str = field(default_factory=lambda: str(uuid4()))
    channel_id: UUID = field(default_factory=uuid4)

    def row(self) -> ChannelRow:
        return ChannelRow(
            id=self.channel_id,
            tenant_id=self.id,
            name="Loja",
            type="waha",
            status="connected",
            waha_base_url="http://waha.test",
            waha_session="loja",
            waha_api_key_encrypted="sealed",
            session_timeout_seconds=1800,
            allow_groups=False,
        )

    def raw(self, event: str, payload: dict[str, Any], **more: Any) -> Raw:
        """An event as WAHA posts it, at a time of its own."""
        body = {"event": event, "timestamp": 1_790_000_000_000, "payload": payload, **more}
        heard = WahaEvent(self.channel_id, event, NOW, orjson.dumps(body))
        return Incoming(uuid4(), self.id, heard, {}, Cause("req", uuid4()))

    def says(self, bare: str, chat: str = CUSTOMER, text: str = "Oi!", **payload: Any) -> Raw:
        """A message of a customer's."""
        message = {"id": f"false_{chat}_{bare}", "body": text, "timestamp": 1_790_000_000}
        return self.raw("message.any", {**message, **payload})

    def names_lid(self, bare: str, lid: str, phone: str) -> Raw:
        """A message of somebody whose hidden id and phone it tells."""
        return self.says(bare, f"{lid}@lid", _data={"Info": {"SenderAlt": f"{phone}@c.us"}})

    def echo(self, bare: str, text: str) -> Raw:
        """A message of our own, as WhatsApp has it."""
        message = {"id": f"true_{CUSTOMER}_{bare}", "fromMe": True, "source": "api"}
        return self.raw("message.any", {**message, "body": text, "timestamp": 1_790_000_000})

    def receipt(self, bare: str) -> Raw:
        """Proof that a message of ours was delivered."""
        return self.raw("message.ack", {"id": f"true_{CUSTOMER}_{bare}", "fromMe": True, "ack": 2})

    def edits(self, bare: str) -> Raw:
        """Another text for a message of ours: on the phone, or as we asked for it."""
        edit = {"id": f"true_{CUSTOMER}_E{bare}", "editedMessageId": bare, "body": "Olá!"}
        return self.raw("message.edited", {**edit, "fromMe": True})

    def status(self, word: str, at: int = 1_790_000_000_000) -> Raw:
        """WAHA's word for its session."""
        return self.raw("session.status", {"status": word}, timestamp=at)

    def hears(self, sign: str = "") -> list[Raw]:
        """Something of everything; `sign` tells one round's from another's."""
        return [
            self.names_lid(f"N{sign}", LID + sign, PHONE),
            self.says(f"S{sign}", f"{LID}{sign}@lid"),
            self.raw("brand.new", {}),
            self.echo(f"W{sign}", "by words"),
            self.echo(f"K{sign}", "by id"),
            self.receipt(f"R{sign}"),
            self.raw("message.revoked", {"before": {"id": f"false_{CUSTOMER}_S{sign}"}}),
            self.edits(f"K{sign}"),
        ]

    def writes(self, text: str, channel_id: UUID | None = None) -> Event[Any]:
        """A message of this company to send."""
        envelope = event_of(self.id, queued_message(channel_id or self.channel_id, text))
        return Event(envelope.event_id, self.id, envelope, {}, Cause("req", envelope.event_id))


@dataclass
class Crowd:
    """The companies of a database, and the handlers they meet in."""

    database: Database
    status: StatusBook
    trips: list[str] = field(default_factory=list)
    """The statements of what was applied last, one for each time the database was asked."""

    async def open(self, tenants: Sequence[Tenant]) -> None:
        async with self.database.tenants([t.id for t in tenants]) as tx:
            await CHANNELS.insert(tx, [tenant.row() for tenant in tenants])

    async def apply(self, messages: Sequence[Raw | Event[Any]]) -> None:
        """Apply a batch, of raw events or of messages to send, in one transaction."""
        async with self.database.tenants(sorted({m.tenant_id for m in messages})) as tx:
            with counting(tx) as self.trips:
                if queued := [m for m in messages if isinstance(m, Event)]:
                    await on_message_queued(tx, queued)
                if heard := [m for m in messages if not isinstance(m, Event)]:
                    await WahaInbox(self.status, picture_days=7, group_days=7).on_events(tx, heard)
                await tx.write_events()

    async def owe(self, tenants: Sequence[Tenant], sign: str = "") -> None:
        """Let each have messages under way: one without an id, two of known ids."""
        await self.apply([t.writes(text) for t in tenants for text in TEXTS])
        await self.send(tenants, sign)

    async def send(self, tenants: Sequence[Tenant], sign: str = "") -> None:
        """Put what they wrote under way."""
        for text, bare in TEXTS.items():
            await self.under_way(tenants, text, bare and bare + sign)

    async def under_way(self, tenants: Sequence[Tenant], text: str, bare: str | None) -> None:
        """They may have left, under this id; none has an answer yet."""
        async with self.database.tenants([t.id for t in tenants]) as tx:
            await tx.execute(
                "UPDATE outbound_messages SET state = 'unknown', sending_at = now(),"
                " external_id = $2 WHERE content = $1 AND state = 'pending'",
                text,
                bare,
            )

    async def rows(self, tenant: Tenant, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look into the tables as a company."""
        async with self.database.tenant(tenant.id) as tx:
            return [tuple(row) for row in await tx.fetch(query, *values)]

    async def told(self, tenant: Tenant, event_type: str) -> list[dict[str, Any]]:
        """What a company's events of a type said."""
        query = "SELECT payload FROM outbox_events WHERE event_type = $1 ORDER BY seq"
        return [payload for (payload,) in await self.rows(tenant, query, event_type)]

    async def state(self, tenant: Tenant) -> list[list[tuple[Any, ...]]]:
        """All there is of a company."""
        return [await self.rows(tenant, query) for query in _STATE]


TEXTS = {"by words": None, "by id": "K", "by receipt": "R"}
_STATE = (
    "SELECT event_type, aggregate_id, correlation_id, causation_id,"
    " payload #- '{channel,updated_at}' #- '{channel,created_at}' FROM outbox_events ORDER BY seq",
    "SELECT lid, phone, channel_id FROM lid_refs ORDER BY lid",
    "SELECT id, channel_id, event, outcome, reason, body FROM raw_events ORDER BY id",
    "SELECT message_id, content, state, external_id FROM outbound_messages ORDER BY seq",
    "SELECT id, status, waha_status FROM channels",
)
