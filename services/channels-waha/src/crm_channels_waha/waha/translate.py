"""WAHA's webhooks in our words (docs/waha.md, "Messages"). Pure: no I/O, no clock."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from shared_events.channels.traffic import ChannelMessageReceived, ChannelMessageStatusReported

from crm_channels_waha.waha.calls import read_call
from crm_channels_waha.waha.changes import (
    read_edit,
    read_housekeeping,
    read_reaction,
    read_revocation,
)
from crm_channels_waha.waha.content import read_content
from crm_channels_waha.waha.context import (
    author_of,
    chat_of,
    is_from_us,
    ours,
    person_of,
    said_at,
    told_at,
)
from crm_channels_waha.waha.groups import read_departure, read_group, read_participants
from crm_channels_waha.waha.ids import bare_id, message_id_of, person_id
from crm_channels_waha.waha.labels import read_chat_label, read_label
from crm_channels_waha.waha.meaning import (
    Heard,
    Kept,
    Listener,
    Receipt,
    SessionReport,
    Translation,
)
from crm_channels_waha.waha.raw import Raw, read_raw, within
from crm_channels_waha.waha.reading import Json, mapping, number, text
from crm_channels_waha.waha.restriction import read_error, read_timelock
from crm_channels_waha.waha.votes import read_failed_vote, read_vote

_Level = Literal["failed", "pending", "sent", "delivered", "read", "played"]
_RECEIPTS: dict[int, _Level] = {
    -1: "failed",
    0: "pending",
    1: "sent",
    2: "delivered",
    3: "read",
    4: "played",
}
_NAMED: dict[str, _Level] = {
    "ERROR": "failed",
    "PENDING": "pending",
    "SERVER": "sent",
    "DEVICE": "delivered",
    "READ": "read",
    "PLAYED": "played",
}


def translate(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    """Say what an event means. The real `event` decides, never the shape of the payload.

    A session that was ours before, or that somebody gave our address, goes on posting to it: what
    it says is about another number.
    """
    event = text(envelope.get("event")) or ""
    session = text(envelope.get("session"))
    if session is None and event == "session.status":
        session = text(mapping(envelope.get("payload")).get("name"))
    if session not in (None, listener.waha_session):
        return Kept("ignored", "another session")
    read = _READERS.get(event)
    if read is None:
        return Kept("unhandled", "event")
    return read(envelope, listener, received_at)


def _read_message(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    payload = mapping(envelope.get("payload"))
    message_id = message_id_of(payload)
    if message_id is None:
        return Kept("unhandled", "message without id")
    raw = read_raw(payload)
    housekeeping = read_housekeeping(envelope, listener, received_at, raw)
    if housekeeping is not None:
        return housekeeping
    from_me = is_from_us(payload, message_id)
    # The chat is in the id: `from` and `to` mean different things on every engine.
    where = message_id.chat or payload.get("to" if from_me else "from") or payload.get("from")
    chat = chat_of(where, listener)
    if isinstance(chat, Kept):
        return chat
    if from_me and chat.key in ours(envelope):
        return Kept("ignored", "note to ourselves")
    content = read_content(payload, raw, listener.waha_base_url)
    details = dict(content.details)
    author = author_of(payload, message_id, chat)
    if author is not None:
        details["participant"] = author.chat_id
    return Heard(
        ChannelMessageReceived(
            channel=listener.channel,
            chat_id=chat.chat_id,
            is_group=chat.kind == "group",
            external_id=message_id.bare,
            direction="outbound" if from_me else "inbound",
            origin=_origin(payload) if from_me else "customer",
            person=person_of(envelope, chat, author, from_me=from_me),
            content_type=content.type,
            content=content.text,
            media=content.media,
            reply_to_external_id=_answers(payload, raw),
            details=details,
            sent_at=said_at(envelope, received_at),
            received_at=received_at,
        )
    )


def _answers(payload: Json, raw: Raw) -> str | None:
    """The message this one answers; engines without a store leave it in `_data` alone."""
    said = payload.get("replyTo")
    context = raw.fields.get("contextInfo")
    quoted = within(context, "stanzaId", 1) or within(raw.fields, "quotedStanzaID", 1)
    return bare_id(mapping(said).get("id")) or bare_id(text(said)) or bare_id(text(quoted))


def _origin(payload: Json) -> Literal["phone", "api"]:
    return "api" if payload.get("source") == "api" else "phone"


def _read_receipt(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    payload = mapping(envelope.get("payload"))
    message_id = message_id_of(payload)
    status = _level(payload)
    if message_id is None or status is None:
        return Kept("unhandled", "receipt without id or level")
    chat = chat_of(message_id.chat or payload.get("from"), listener)
    if isinstance(chat, Kept):
        return chat
    reader = person_id(payload.get("participant")) if chat.kind == "group" else None
    error = mapping(payload.get("error"))
    at = told_at(envelope, received_at)
    from_us = is_from_us(payload, message_id)
    return Receipt(
        ChannelMessageStatusReported(
            channel_id=listener.id,
            external_id=message_id.bare,
            from_us=from_us,
            status=status,
            participant=reader.chat_id if reader else None,
            error_code=str(error["code"])[:50] if error.get("code") is not None else None,
            # `payload.timestamp`, where there is one, is the message's, not the receipt's.
            occurred_at=at,
        ),
        chat.chat_id,
        read_error(error, at) if from_us and status == "failed" else None,
    )


def _level(payload: Json) -> _Level | None:
    """How far a message got, by number or else by name."""
    level = number(payload.get("ack"))
    if level is None:
        return _NAMED.get(text(payload.get("ackName")) or "")
    return _RECEIPTS.get(int(level))


def _read_session(envelope: Json, listener: Listener, received_at: datetime) -> Translation:
    del listener
    payload = mapping(envelope.get("payload"))
    status = text(payload.get("status"))
    if status is None:
        return Kept("unhandled", "no status")
    account = mapping(envelope.get("me"))
    me = person_id(account.get("id"))
    at = told_at(envelope, received_at)
    lock = mapping(payload, "data", "reachoutTimelock") or mapping(account, "reachoutTimelock")
    engine = text(envelope.get("engine"))
    return SessionReport(
        waha_status=status[:100].upper(),
        at=at,
        engine=engine[:50] if engine else None,
        phone=me.value if me and me.kind == "phone" else None,
        restriction=read_timelock(lock, at),
    )


_READERS: dict[str, Callable[[Json, Listener, datetime], Translation]] = {
    "message": _read_message,
    "message.any": _read_message,
    "message.ack": _read_receipt,
    "message.ack.group": _read_receipt,
    "message.revoked": read_revocation,
    "message.edited": read_edit,
    "message.reaction": read_reaction,
    "poll.vote": read_vote,
    "poll.vote.failed": read_failed_vote,
    "call.received": read_call,
    "call.accepted": read_call,
    "call.rejected": read_call,
    "session.status": _read_session,
    "group.v2.join": read_group,
    "group.v2.update": read_group,
    "group.v2.leave": read_departure,
    "group.v2.participants": read_participants,
    "label.upsert": read_label,
    "label.deleted": read_label,
    "label.chat.added": read_chat_label,
    "label.chat.deleted": read_chat_label,
}
KNOWN_EVENTS = frozenset(
    (
        *_READERS,
        *("message.waiting", "event.response", "event.response.failed"),
        *("presence.update", "chat.archive"),
    )
)
"""Names we know of; others share one label in the metrics, for anybody may invent them."""
