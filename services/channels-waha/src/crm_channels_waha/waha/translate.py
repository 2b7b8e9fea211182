"""WAHA's webhooks in our words (docs/waha.md, "Messages"). Pure: no I/O, no clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from shared_events.channels.traffic import (
    ChannelMessageReceived,
    ChannelMessageRevoked,
    ChannelMessageStatusReported,
    Person,
    TrafficChannel,
)
from shared_events.contacts.contact import Identity
from shared_events.identity import WhatsAppId

from crm_channels_waha.waha.content import read_content
from crm_channels_waha.waha.ids import (
    WahaMessageId,
    bare_id,
    conversation,
    person_id,
    read_message_id,
)
from crm_channels_waha.waha.reading import Json, mapping, number, text

_RECEIPTS: dict[int, Literal["failed", "pending", "sent", "delivered", "read", "played"]] = {
    -1: "failed",
    0: "pending",
    1: "sent",
    2: "delivered",
    3: "read",
    4: "played",
}
_FAR_FUTURE_SECONDS = 1e11  # what is larger is milliseconds


@dataclass(frozen=True, slots=True)
class Listener:
    """What translating needs to know of the channel that heard the event."""

    id: UUID
    name: str
    session_timeout_seconds: int
    allow_groups: bool
    waha_base_url: str
    waha_session: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A message in a chat. One of ours may be the echo of what we sent ourselves."""

    message: ChannelMessageReceived


@dataclass(frozen=True, slots=True)
class Receipt:
    """An ack; `chat_id` is where."""

    report: ChannelMessageStatusReported
    chat_id: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """A message was deleted for everyone; `chat_id` is where."""

    report: ChannelMessageRevoked
    chat_id: str


@dataclass(frozen=True, slots=True)
class SessionReport:
    """What WAHA says of its session.

    `at` is WAHA's time of an event, None for an answer to a question. `phone` is digits;
    restrictions come from newer builds.
    """

    waha_status: str
    at: datetime | None
    engine: str | None
    phone: str | None
    restricted_until: datetime | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Not for us; kept raw, with the reason."""

    outcome: Literal["ignored", "unhandled"]
    reason: str


Translation = Heard | Receipt | Revocation | SessionReport | Kept


def translate(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    """Say what an event means. The real `event` decides, never the shape of the payload.

    A session that was ours before, or that somebody gave our address, goes on posting to it: what
    it says is about another number.
    """
    session = text(envelope.get("session"))
    if session is not None and session != listener.waha_session:
        return Kept("ignored", "another session")
    event = text(envelope.get("event")) or ""
    read = _READERS.get(event)
    if read is None:
        return Kept("unhandled", "event")
    return read(envelope, listener, received_at)


def _read_message(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    payload = mapping(envelope.get("payload"))
    message_id = read_message_id(payload.get("id"))
    if message_id is None:
        return Kept("unhandled", "message without id")
    from_me = payload.get("fromMe")
    if not isinstance(from_me, bool):
        from_me = bool(message_id.from_me)
    # The chat is in the id: `from` and `to` mean different things on every engine.
    where = message_id.chat or payload.get("to" if from_me else "from") or payload.get("from")
    chat = conversation(where)
    if chat is None:
        return Kept("ignored", "not a conversation")
    if chat.kind == "group" and not listener.allow_groups:
        return Kept("ignored", "groups are off")
    content = read_content(payload, listener.waha_base_url)
    details = dict(content.details)
    author = _author(payload, message_id) if chat.kind == "group" else None
    if author is not None:
        details["participant"] = author.chat_id
    return Heard(
        ChannelMessageReceived(
            channel=TrafficChannel(
                id=listener.id,
                name=listener.name,
                session_timeout_seconds=listener.session_timeout_seconds,
            ),
            chat_id=chat.chat_id,
            is_group=chat.kind == "group",
            external_id=message_id.bare,
            direction="outbound" if from_me else "inbound",
            origin=_origin(payload) if from_me else "customer",
            person=_person(payload, chat, author, from_me=from_me),
            content_type=content.type,
            content=content.text,
            media=content.media,
            reply_to_external_id=bare_id(mapping(payload.get("replyTo")).get("id")),
            details=details,
            sent_at=_moment(payload.get("timestamp")) or _told_at(envelope, received_at),
        )
    )


def _origin(payload: Json) -> Literal["phone", "api"]:
    return "api" if payload.get("source") == "api" else "phone"


def _author(payload: Json, message_id: WahaMessageId) -> WhatsAppId | None:
    return person_id(payload.get("participant")) or person_id(message_id.participant)


def _person(payload: Json, chat: WhatsAppId, author: WhatsAppId | None, *, from_me: bool) -> Person:
    """Who it concerns: the other side, the participant who spoke, or the group we spoke to."""
    raw = mapping(payload.get("_data"))
    known = chat if chat.kind != "group" or from_me else author or chat
    if known.kind == "group":
        return Person(identities=[_identity(known)])
    info, key = mapping(raw.get("Info")), mapping(raw.get("key"))
    alternatives = (
        info.get("RecipientAlt" if from_me else "SenderAlt"),
        key.get("participantAlt" if chat.kind == "group" else "remoteJidAlt"),
    )
    found = [known, *filter(None, map(person_id, alternatives))]
    by_kind = {person.kind: person for person in reversed(found)}
    push_name = (
        None
        if from_me  # that one is our own name
        else text(info.get("PushName")) or text(raw.get("pushName")) or text(raw.get("notifyName"))
    )
    return Person(
        identities=[_identity(by_kind[k]) for k in ("phone", "lid") if k in by_kind],
        push_name=push_name[:255] if push_name else None,
    )


def _identity(who: WhatsAppId) -> Identity:
    return Identity(kind=who.kind, value=who.value)


def _read_receipt(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    payload = mapping(envelope.get("payload"))
    message_id = read_message_id(payload.get("id"))
    level = number(payload.get("ack"))
    status = _RECEIPTS.get(int(level)) if level is not None else None
    if message_id is None or status is None:
        return Kept("unhandled", "receipt without id or level")
    chat = conversation(message_id.chat or payload.get("from"))
    if chat is None:
        return Kept("ignored", "not a conversation")
    if chat.kind == "group" and not listener.allow_groups:
        return Kept("ignored", "groups are off")
    reader = person_id(payload.get("participant")) if chat.kind == "group" else None
    from_me = payload.get("fromMe")
    error = mapping(payload.get("error"))
    return Receipt(
        ChannelMessageStatusReported(
            channel_id=listener.id,
            external_id=message_id.bare,
            from_us=from_me if isinstance(from_me, bool) else bool(message_id.from_me),
            status=status,
            participant=reader.chat_id if reader else None,
            error_code=str(error["code"])[:50] if error.get("code") is not None else None,
            # `payload.timestamp`, where there is one, is the message's, not the receipt's.
            occurred_at=_told_at(envelope, received_at),
        ),
        chat.chat_id,
    )


def _read_revocation(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    payload = mapping(envelope.get("payload"))
    # `after` is the act of deleting, with an id of its own; WEBJS gives it the message's.
    before, after = mapping(payload.get("before")), mapping(payload.get("after"))
    seen = [found for one in (before, after) if (found := read_message_id(one.get("id")))]
    target = bare_id(payload.get("revokedMessageId")) or next((s.bare for s in seen), None)
    if target is None:
        return Kept("unhandled", "revoked message without id")
    where = next((s.chat for s in seen if s.chat), None)
    chat = conversation(where or before.get("from") or after.get("from"))
    if chat is None:
        return Kept("ignored", "not a conversation")
    if chat.kind == "group" and not listener.allow_groups:
        return Kept("ignored", "groups are off")
    at = _told_at(envelope, received_at)
    report = ChannelMessageRevoked(channel_id=listener.id, external_id=target, revoked_at=at)
    return Revocation(report, chat.chat_id)


def _read_session(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    del listener
    payload = mapping(envelope.get("payload"))
    status = text(payload.get("status"))
    if status is None:
        return Kept("unhandled", "no status")
    me = person_id(mapping(envelope.get("me")).get("id"))
    lock = mapping(payload, "data", "reachoutTimelock")
    ends = lock.get("timeEnforcementEnds") if lock.get("isActive") is True else None
    engine = text(envelope.get("engine"))
    return SessionReport(
        waha_status=status[:100],
        at=_told_at(envelope, received_at),
        engine=engine[:50] if engine else None,
        phone=me.value if me and me.kind == "phone" else None,
        restricted_until=_moment(ends),
    )


def _moment(seconds: object) -> datetime | None:
    """A time in seconds (or, seen now and then, milliseconds); None for 0, null and nonsense."""
    found = number(seconds)
    if found is None or found <= 0:
        return None
    try:
        return datetime.fromtimestamp(found / 1000 if found > _FAR_FUTURE_SECONDS else found, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _told_at(envelope: Json, received_at: datetime) -> datetime:
    """When WAHA made the event (its envelope counts milliseconds)."""
    return _moment(envelope.get("timestamp")) or received_at


_READERS: dict[str, Callable[[Json, Listener, datetime], Translation]] = {
    "message": _read_message,
    "message.any": _read_message,
    "message.ack": _read_receipt,
    "message.ack.group": _read_receipt,
    "message.revoked": _read_revocation,
    "session.status": _read_session,
}
KNOWN_EVENTS = frozenset(
    (
        *_READERS,
        *("message.reaction", "message.edited", "message.waiting"),
        *("poll.vote", "poll.vote.failed", "event.response", "event.response.failed"),
        *("call.received", "call.accepted", "call.rejected", "presence.update", "chat.archive"),
        *("label.upsert", "label.deleted", "label.chat.added", "label.chat.deleted"),
        *("group.v2.join", "group.v2.leave", "group.v2.update", "group.v2.participants"),
    )
)
"""Names we know of; others share one label in the metrics, for anybody may invent them."""
