"""A WAHA webhook between its arrival and the broker (docs/waha.md, "Webhooks")."""

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import orjson
from faststream.rabbit import RabbitRouter
from service_kit.bus import Publisher
from service_kit.errors import MalformedError, UnauthenticatedError
from shared_events import topology
from shared_events.channels import ingress
from shared_events.slots import SLOT, slot_of
from shared_events.waha_keys import waha_key

_NOT_IN_EVENTS = re.compile(r"[^A-Za-z0-9._-]")
_EVENT_CHARACTERS = 100
_REMEMBERED_SOURCES = 10_000
PUBLISH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """An authentic webhook: raw bytes, whose it is, and what travels beside it."""

    id: UUID
    tenant_id: str
    channel_id: UUID
    event: str
    body: bytes
    headers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Whose webhook it is, and the key it must be signed with."""

    address: ingress.ChannelAddress
    hmac_key: str


class Sources:
    """Reads channel tokens. One that proved itself is remembered: thousands will follow it."""

    def __init__(self, *master_keys: str) -> None:
        """`master_keys`: any of them may have made a token."""
        self._master_keys = master_keys
        self.find = lru_cache(_REMEMBERED_SOURCES)(self._find)
        """The source of this token; raises UnauthenticatedError for one we never made."""

    def _find(self, token: str) -> Source:
        for master_key in self._master_keys:
            address = ingress.read_channel_token(master_key, token)
            if address is not None:
                return Source(address, ingress.webhook_hmac_key(master_key, address))
        raise UnauthenticatedError("invalid_token", "This webhook address is not one of ours.")


def check_signature(
    hmac_key: str, body: bytes, *, signature: str | None, algorithm: str | None
) -> None:
    """Raise UnauthenticatedError unless the body was signed with the channel's key.

    WAHA signs the raw bytes with HMAC-SHA512; any other algorithm is refused.
    """
    if not (
        algorithm in (None, "sha512")
        and signature is not None
        and hmac.compare_digest(signature.encode(), ingress.body_signature(hmac_key, body).encode())
    ):
        raise UnauthenticatedError("invalid_signature", "The webhook's signature does not fit.")


def read_webhook(
    address: ingress.ChannelAddress, body: bytes, *, request_id: str, trace: Mapping[str, str]
) -> Webhook:
    """The webhook in this body; raises MalformedError when it is not a JSON object."""
    parsed = _read_json(body)
    if not isinstance(parsed, dict):
        raise MalformedError("invalid_json", "The body is not a JSON object.")
    ingress_id = uuid4()
    tenant_id = str(address.tenant_id)
    event = event_name(parsed.get("event"))
    return Webhook(
        id=ingress_id,
        tenant_id=tenant_id,
        channel_id=address.channel_id,
        event=event,
        body=body,
        headers={
            "ingress_id": str(ingress_id),
            "tenant_id": tenant_id,
            "channel_id": str(address.channel_id),
            "waha_event": event,
            "received_at": datetime.now(UTC).isoformat(),
            "x-request-id": request_id,
            **trace,
        },
    )


def _read_json(body: bytes) -> object:
    """The JSON value; None when it is none. What was cut inside an emoji is JSON as well.

    JavaScript writes half a surrogate pair (RFC 8259, section 8.2), which orjson refuses, as it
    does bytes that are no text, a byte order mark and numbers of any length. Who reads it copes.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8-sig", "replace"), parse_int=float)
    except (ValueError, RecursionError):
        return None


def event_name(event: object) -> str:
    """WAHA's event name as a part of a routing key; whatever is no name is `unknown`."""
    if not isinstance(event, str):
        return "unknown"
    return _NOT_IN_EVENTS.sub("", event)[:_EVENT_CHARACTERS] or "unknown"


def raw_webhooks() -> RabbitRouter:
    """What `publish` says on the bus, for AsyncAPI: WAHA's webhooks, byte for byte."""
    router = RabbitRouter()
    router.publisher(
        exchange=topology.WAHA_EVENTS,
        routing_key="#",
        title=topology.WAHA_EVENTS.name,
        description="A webhook as WAHA sent it; the routing key is its event.",
        schema=dict[str, Any],
    )
    return router


async def publish(
    publisher: Publisher, webhook: Webhook, *, timeout: float = PUBLISH_SECONDS
) -> None:
    """Hand it to the broker and wait for the confirm; raises BrokerDownError, UnroutableError."""
    await publisher.publish(
        topology.WAHA_EVENTS,
        waha_key(webhook.event),
        webhook.body,
        message_id=str(webhook.id),
        headers={**webhook.headers, SLOT: slot_of(webhook.channel_id)},
        correlation_id=str(webhook.headers["x-request-id"]),
        timeout=timeout,
    )
