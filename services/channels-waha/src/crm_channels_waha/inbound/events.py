"""WAHA's events as the gateway hands them on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from service_kit import tracing
from service_kit.bundles import Message
from service_kit.cause import Cause
from service_kit.errors import PoisonError
from service_kit.incoming import Incoming


@dataclass(frozen=True, slots=True)
class WahaEvent:
    """A raw event as the gateway took it."""

    channel_id: UUID
    event: str
    received_at: datetime
    raw: bytes


def read_waha_event(message: Message) -> Incoming[WahaEvent]:
    """Read the gateway's headers: `ingress_id` is what the inbox knows a delivery by."""
    headers = message.headers
    try:
        ingress_id = UUID(str(headers["ingress_id"]))
        event = WahaEvent(
            UUID(str(headers["channel_id"])),
            str(headers["waha_event"]),
            _received_at(str(headers["received_at"])),
            message.body,
        )
        tenant_id = str(UUID(str(headers["tenant_id"])))
    except (KeyError, ValueError) as error:
        raise PoisonError("invalid_headers", str(error)) from None
    correlation_id = message.correlation_id or headers.get("x-request-id")
    cause = Cause(
        str(correlation_id) if correlation_id else None, ingress_id, tracing.accepted(headers)
    )
    return Incoming(ingress_id, tenant_id, event, headers, cause)


def _received_at(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
