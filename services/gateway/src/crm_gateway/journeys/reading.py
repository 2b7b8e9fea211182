"""What a message itself tells of its way, and how the legs become one journey. No I/O."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared_events.journeys import Leg, MessageHop, Wait
from shared_events.messaging.message import Message
from shared_events.services import CHANNELS, MESSAGING, WEBHOOKS

from crm_gateway.journeys.schemas import MessageJourney

WHATSAPP = "whatsapp"
_RECEIPTS = ("delivered", "read", "played")
# WhatsApp knows whole seconds, and clocks differ: within a second the way itself is the order.
_WAY = (
    "said",
    "ingress",
    "channel.message_received",
    "stored",
    "message.received",
    "scheduled",
    "queued",
    "message.queued",
    "entered",
    "asked",
    "answered",
    "channel.message_sent",
    "sent",
    "message.sent",
    "channel.message_status_reported",
    *(step for receipt in _RECEIPTS for step in (receipt, f"message.{receipt}")),
)
_PLACE = {what: place for place, what in enumerate(_WAY)}
_IN_HAND = (CHANNELS.name, MESSAGING.name, WEBHOOKS.name)
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def journey(
    message_id: UUID, message: Message | None, legs: Mapping[str, Leg], missing: Iterable[str]
) -> MessageJourney:
    """One journey of the message itself and of the legs that services told of.

    What it waits for is the first thing on its way that it waits for.
    """
    known = dict(legs) if message is None else {**legs, MESSAGING.name: _leg_of(message)}
    passed = [known[service] for service in _IN_HAND if service in known]
    return MessageJourney(
        message_id=message_id,
        direction=message and message.direction,
        status=message and message.status,
        waiting_for=next((leg.waiting_for for leg in passed if leg.waiting_for), None),
        hops=sorted((hop for leg in passed for hop in leg.hops), key=_place),
        missing=list(missing),
    )


def _leg_of(message: Message) -> Leg:
    """What messaging and WhatsApp know of it, as the message shows it."""
    hops = [*_coming(message)] if message.origin != "agent" else [*_going(message)]
    hops += [
        MessageHop(service=WHATSAPP, what=receipt, at=at)
        for receipt in _RECEIPTS
        if (at := getattr(message, f"{receipt}_at")) is not None
    ]
    if message.failed_at is not None:
        hops.append(_hop("failed", message.failed_at, reason=message.failure_reason))
    if message.revoked_at is not None:
        hops.append(_hop("revoked", message.revoked_at))
    return Leg(message_id=message.id, hops=hops, waiting_for=_wait(message))


def _coming(message: Message) -> Iterable[MessageHop]:
    """A message that WhatsApp brought: from a customer, or from the company's own phone."""
    if message.sent_at is not None:
        yield MessageHop(service=WHATSAPP, what="said", at=message.sent_at)
    late = message.sent_at and max((message.created_at - message.sent_at).total_seconds(), 0)
    yield _hop("stored", message.created_at, **_whereabouts(message), late_seconds=late)


def _going(message: Message) -> Iterable[MessageHop]:
    """A message that somebody asked for."""
    asked = {"sent_by": message.sent_by, "send_at": message.send_at}
    if message.session_id is None:  # it is not queued yet, or never was
        yield _hop("scheduled", message.created_at, **asked)
    else:
        yield _hop("queued", message.created_at, **asked, **_whereabouts(message))
    if message.status == "cancelled":
        yield _hop("cancelled", message.updated_at)
    if message.sent_at is not None:
        yield MessageHop(service=WHATSAPP, what="sent", at=message.sent_at)


def _whereabouts(message: Message) -> dict[str, Any]:
    return {
        "conversation_id": message.conversation_id,
        "session_id": message.session_id,
        "seq": message.seq,
    }


def _hop(what: str, at: datetime, **detail: Any) -> MessageHop:
    return MessageHop(service=MESSAGING.name, what=what, at=at, detail=detail)


def _wait(message: Message) -> Wait | None:
    """What messaging waits for: the message's time, word of its sending, a receipt, its file."""
    since = message.updated_at
    if message.status == "scheduled":
        return Wait(service=MESSAGING.name, what="send_at", since=since, next_at=message.send_at)
    if message.status == "queued":
        return Wait(service=CHANNELS.name, what="channel", since=since)
    if message.status == "sent" and message.origin == "agent":
        return Wait(service=WHATSAPP, what="receipt", since=message.sent_at or since)
    # What agents send may have any metadata: that is their own.
    came = message.origin != "agent"
    if came and message.metadata.get("media", {}).get("state") == "pending":
        return Wait(service=CHANNELS.name, what="file", since=message.created_at)
    return None


def _place(hop: MessageHop) -> tuple[datetime, int, datetime]:
    at = hop.at or _BEGINNING
    return at.replace(microsecond=0), _PLACE.get(hop.what, len(_WAY)), at
