"""Who takes part in this service's tests: a company, the gateway's ingress, the bus."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from aiohttp import web
from crm_fakes.serving import LocalServer
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from service_kit.bus import Publisher
from shared_events import topology
from shared_events.channels import ingress
from shared_events.channels.channel import CreateChannel, DriveChannel, WahaSettings
from shared_events.messaging.message import (
    ChangeKind,
    ContentType,
    Message,
    MessageChangeRequested,
    MessageQueued,
)
from shared_events.messaging.session import SessionSummary
from shared_events.messaging.summaries import ChannelSummary, ContactSummary
from shared_events.slots import SLOT, slot_of
from shared_events.waha_keys import waha_key

from crm_testing.services import Company, eventually

CUSTOMER = "5511988880001@c.us"


def queued_message(
    channel_id: UUID,
    content: str | None,
    *,
    to: str = CUSTOMER,
    proved: bool = True,
    content_type: ContentType = "text",
    media_url: str | None = None,
    reply_to: str | None = None,
    metadata: dict[str, Any] | None = None,
    expires_at: datetime | None = None,
    bulk: bool = False,
) -> MessageQueued:
    """A new message to a customer, as messaging queues it."""
    now = datetime.now(UTC)
    message = Message(
        id=uuid4(),
        contact_id=uuid4(),
        channel_id=channel_id,
        direction="outbound",
        origin="agent",
        content_type=content_type,
        content=content,
        media_url=media_url,
        metadata=metadata or {},
        expires_at=expires_at,
        status="queued",
        seq=1,
        created_at=now,
        updated_at=now,
    )
    return MessageQueued(
        message=message,
        contact=ContactSummary(id=message.contact_id, name="Maria"),
        session=SessionSummary(id=uuid4(), status="active"),
        channel=ChannelSummary(id=channel_id, name="Loja"),
        to=to,
        proved=proved,
        bulk=bulk,
        reply_to_external_id=reply_to,
    )


async def publish_raw(
    publisher: Publisher, tenant_id: str, channel_id: UUID, event: str, body: bytes, **headers: Any
) -> UUID:
    """Publish a raw WAHA event as the gateway does; returns its ingress id."""
    ingress_id = uuid4()
    await publisher.publish(
        topology.WAHA_EVENTS.name,
        waha_key(event),
        body,
        message_id=str(uuid4()),
        correlation_id="req-ingress",
        headers={
            "ingress_id": str(ingress_id),
            "tenant_id": tenant_id,
            "channel_id": str(channel_id),
            SLOT: slot_of(channel_id),
            "waha_event": event,
            "received_at": datetime.now(UTC).isoformat(),
            "x-request-id": "req-ingress",
            **headers,
        },
    )
    return ingress_id


class Ingress(LocalServer):
    """Accepts WAHA's webhooks by token and signature alone, and puts them on the bus."""

    def __init__(self, master_key: str) -> None:
        super().__init__("127.0.0.1", 0)
        self._master_key = master_key
        self.publisher: Publisher | None = None

    def build_app(self) -> web.Application:
        """One route."""
        app = web.Application()
        app.router.add_post("/api/v1/webhooks/waha/{token}", self._accept)
        return app

    async def _accept(self, request: web.Request) -> web.Response:
        address = ingress.read_channel_token(self._master_key, request.match_info["token"])
        body = await request.read()
        if address is None or self.publisher is None:
            return web.Response(status=401)
        key = ingress.webhook_hmac_key(self._master_key, address)
        if request.headers.get("X-Webhook-Hmac") != ingress.body_signature(key, body):
            return web.Response(status=401)
        event = orjson.loads(body)["event"]
        await publish_raw(self.publisher, str(address.tenant_id), address.channel_id, event, body)
        return web.Response(status=200)


@dataclass
class Shop(Company):
    """A company with a WAHA: it writes to its customers, and they to it."""

    waha: WahaSimulator = field(kw_only=True)
    channel_id: UUID = field(default_factory=uuid4)
    channel: dict[str, Any] = field(default_factory=dict)

    def creation(self, **changes: Any) -> CreateChannel:
        """A request for a channel on this company's WAHA."""
        session = changes.pop("session", "loja")
        api_key = changes.pop("api_key", self.waha.api_key)
        base_url = changes.pop("base_url", self.waha.url)
        waha = WahaSettings(base_url=base_url, api_key=api_key, session=session)
        return CreateChannel(**{"name": "Loja", "waha": waha, **changes})

    async def looked(self, table: str, count: int) -> list[dict[str, Any]]:
        """What there is to look at (`crm_channels_waha.looks`), once so much is and none is due."""

        async def look() -> Any:
            rows = await self.rows(f"SELECT * FROM {table} ORDER BY chat_id")  # noqa: S608 - ours
            return rows if len(rows) >= count and not any(row["due_at"] for row in rows) else None

        found: list[dict[str, Any]] = await eventually(look)
        return found

    async def connect(self, engine: Engine = "GOWS", **changes: Any) -> UUID:
        """Create a channel, start it, pair it, and wait until it is connected."""
        session = changes.get("session", "loja")
        self.waha.engines[session] = engine
        self.channel = await self.value(self.creation(**changes))
        self.channel_id = UUID(self.channel["id"])
        await self.value(DriveChannel(channel_id=self.channel_id, action="start"))
        # Scanned any earlier, the QR code and the connection could overtake each other on the way.
        await self.until_status("pairing", "connected")
        self.waha.scan(session)
        await self.until_status("connected")
        return self.channel_id

    async def until_status(self, *statuses: str) -> dict[str, Any]:
        """Wait until the channel has one of these statuses; returns its row."""

        async def look() -> Any:
            row = (await self.rows("SELECT * FROM channels WHERE id = $1", self.channel_id))[0]
            return row if row["status"] in statuses else None

        found: dict[str, Any] = await eventually(look)
        return found

    async def hears(self, event: str, body: bytes, **headers: Any) -> UUID:
        """Let a raw WAHA event arrive, whatever it holds; waits until it has been applied."""
        ingress_id = await publish_raw(
            self.outside.publisher, self.id, self.channel_id, event, body, **headers
        )

        async def applied() -> bool:
            return bool(
                await self.rows("SELECT 1 FROM processed_events WHERE event_id = $1", ingress_id)
            )

        await eventually(applied)
        return ingress_id

    async def until_told(self, event_type: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many events of a type."""

        async def look() -> Any:
            found = await self.told(event_type)
            return found if len(found) >= count else None

        found: list[dict[str, Any]] = await eventually(look)
        return found

    async def write(
        self,
        content: str | None = "Oi!",
        *,
        to: str = CUSTOMER,
        proved: bool = True,
        content_type: ContentType = "text",
        media_url: str | None = None,
        reply_to: str | None = None,
        metadata: dict[str, Any] | None = None,
        bulk: bool = False,
        times: int = 1,
    ) -> UUID:
        """Queue a message to a customer as messaging does; returns its id."""
        message = queued_message(
            self.channel_id,
            content,
            to=to,
            proved=proved,
            content_type=content_type,
            media_url=media_url,
            reply_to=reply_to,
            metadata=metadata,
            bulk=bulk,
        )
        for _ in range(times):
            await self.publish(message)
        return message.message.id

    async def change(
        self,
        kind: ChangeKind,
        message_id: UUID,
        content: str = "",
        *,
        times: int = 1,
        **changes: Any,
    ) -> UUID:
        """Ask for a change of a message as messaging does; returns the request's id."""
        values = {"to": CUSTOMER, "from_us": True, **changes}
        requested = MessageChangeRequested(
            id=uuid4(),
            change=kind,
            message_id=message_id,
            channel_id=self.channel_id,
            content=content,
            **values,
        )
        for _ in range(times):
            await self.publish(requested)
        return requested.id

    async def ledger(self, message_id: UUID) -> dict[str, Any]:
        """The ledger's entry of a message, empty when there is none."""
        rows = await self.rows("SELECT * FROM outbound_messages WHERE message_id = $1", message_id)
        return rows[0] if rows else {}

    async def until_state(self, message_id: UUID, *states: str) -> dict[str, Any]:
        """Wait until a message is in one of these states; returns its entry."""

        async def look() -> Any:
            row = await self.ledger(message_id)
            return row if row.get("state") in states else None

        found: dict[str, Any] = await eventually(look)
        return found
