"""What WAHA tells of changes to messages (docs/waha.md, "Changes"): edits, deletions, reactions."""

from collections.abc import Iterator
from datetime import datetime

from shared_events import bounds
from shared_events.channels.traffic import (
    ChannelMessageEdited,
    ChannelMessageRevoked,
    ChannelReactionReported,
)

from crm_channels_waha.waha.context import (
    actor_of,
    author_of,
    chat_of,
    is_from_us,
    person_of,
    told_at,
)
from crm_channels_waha.waha.ids import (
    WahaMessageId,
    bare_id,
    message_id_of,
    read_message_id,
)
from crm_channels_waha.waha.meaning import Edited, Kept, Listener, Reacted, Revocation
from crm_channels_waha.waha.raw import BESIDE, STUB, Raw, read_raw, unwrapped
from crm_channels_waha.waha.reading import Json, mapping, text

_LONGEST_EMOJI = bounds.limit(bounds.Emoji)
_EDIT = ("MESSAGE_EDIT", 14)
_REVOKE = ("REVOKE", 0)
_NOTICES = frozenset(
    (
        # NOWEB and GOWS: acts upon messages and chats; those that matter are told by other events
        *("albumMessage", "reactionMessage", "encReactionMessage", "pollUpdateMessage"),
        *("encCommentMessage", "encEventResponseMessage", "keepInChatMessage", "pinInChatMessage"),
        *("messageHistoryBundle", "messageHistoryNotice", "placeholderMessage"),
        *("callLogMesssage", "bcallMessage", "secretEncryptedMessage", "stickerSyncRmrMessage"),
        *("call", "scheduledCallEditMessage", "pollAddOptionMessage"),
        *("statusNotificationMessage", "statusStickerInteractionMessage"),
        # WEBJS and WPP: `_data.type`; what cannot be decrypted yet comes again when it can be
        *("e2e_notification", "notification", "notification_template", "broadcast_notification"),
        *("gp2", "call_log", "ciphertext", "protocol", "album", "reaction", "poll_update", "debug"),
        *("keep_in_chat", "pinned_message", "newsletter_notification", "group_notification"),
        *("biz_notification", "status_notification", "event_edit", "poll_add_option"),
        *("reaction_enc", "event_response", "limit_sharing", "request_welcome"),
    )
)
"""What nobody wrote, though engines hand it on as messages."""


def read_edit(envelope: Json, listener: Listener, received_at: datetime) -> Edited | Kept:
    """`message.edited`: a message with its new text. Its id is the edit's, on WEBJS the message's.

    One without text could not be decrypted by WAHA: the old text stays.
    """
    payload = mapping(envelope.get("payload"))
    act = _protocol(read_raw(payload))
    target = bare_id(payload.get("editedMessageId")) or _target(act)
    return _edit(envelope, listener, received_at, act, target or bare_id(payload.get("id")))


def _edit(
    envelope: Json, listener: Listener, received_at: datetime, protocol: Json, target: str | None
) -> Edited | Kept:
    """`protocol` is the act as the engine has it; empty where it has none."""
    payload = mapping(envelope.get("payload"))
    act = message_id_of(payload)
    content = text(payload.get("body")) or _new_text(protocol) or _said(read_raw(payload))
    if act is None or target is None:
        return Kept("unhandled", "edit without id")
    if content is None:
        return Kept("unhandled", "edit without text")
    chat = chat_of(act.chat or payload.get("from"), listener)
    if isinstance(chat, Kept):
        return chat
    from_us = is_from_us(payload, act)
    author = author_of(payload, act, chat)
    has_own_id = act.bare != target
    times = _times_of_edit(payload, protocol, has_own_id=has_own_id)
    at = told_at(envelope, received_at, *times)
    report = ChannelMessageEdited(
        channel_id=listener.id,
        external_id=target,
        edit_id=act.bare if has_own_id else at.isoformat(),
        from_us=from_us,
        person=person_of(envelope, chat, author, from_me=from_us),
        content=content,
        edited_at=at,
    )
    return Edited(report, chat.chat_id)


def _times_of_edit(payload: Json, protocol: Json, *, has_own_id: bool) -> Iterator[object]:
    """When it was edited, by WhatsApp's own clock; WEBJS puts the message's time in `timestamp`."""
    yield protocol.get("timestampMS") or protocol.get("timestampMs")
    yield mapping(payload.get("_data")).get("latestEditSenderTimestampMs")
    if has_own_id:
        yield payload.get("timestamp")


def _new_text(protocol: Json) -> str | None:
    """The text or caption an act of editing carries, where WAHA left it in `_data`."""
    return _said(unwrapped(mapping(protocol.get("editedMessage"))))


def _said(raw: Raw) -> str | None:
    """The text or caption of a message, as the engine has it; on WEBJS a text is a chat's body."""
    body = text(raw.fields.get("body")) if raw.kind == "chat" else None
    return text(raw.fields.get("text")) or text(raw.fields.get("caption")) or body


def read_revocation(envelope: Json, listener: Listener, received_at: datetime) -> Revocation | Kept:
    """`message.revoked`: `before` is the message, mostly missing; `after` is the act of deleting.

    The act has an id of its own; WEBJS gives it the message's.
    """
    payload = mapping(envelope.get("payload"))
    before, after = mapping(payload.get("before")), mapping(payload.get("after"))
    target = read_message_id(payload.get("revokedMessageId"))
    seen = [found for one in (before, after) if (found := message_id_of(one))]
    # Older builds name it nowhere but in the engine's own view of the act.
    named = _target(_protocol(read_raw(after)))
    target = target or (WahaMessageId(named) if named and not message_id_of(before) else None)
    seen += [target] if target else []
    if not seen:
        return Kept("unhandled", "revoked message without id")
    where = next((s.chat for s in seen if s.chat), None)
    return _revocation(
        (target or seen[0]).bare,
        where or before.get("from") or after.get("from"),
        listener,
        told_at(envelope, received_at),
    )


def _revocation(target: str, where: object, listener: Listener, at: datetime) -> Revocation | Kept:
    chat = chat_of(where, listener)
    if isinstance(chat, Kept):
        return chat
    report = ChannelMessageRevoked(channel_id=listener.id, external_id=target, revoked_at=at)
    return Revocation(report, chat.chat_id)


def read_reaction(envelope: Json, listener: Listener, received_at: datetime) -> Reacted | Kept:
    """`message.reaction`: an emoji, or none, which takes it away.

    The message's id may be written from the other side's view: only its bare part is believed.
    """
    payload = mapping(envelope.get("payload"))
    act, said = message_id_of(payload), mapping(payload.get("reaction"))
    target = read_message_id(said.get("messageId") or _target(_reaction(read_raw(payload))))
    emoji = said.get("text") or ""
    if not said or target is None or not isinstance(emoji, str) or len(emoji) > _LONGEST_EMOJI:
        return Kept("unhandled", "reaction without message or emoji")
    act = act or target
    where = act.chat or payload.get("from") or target.chat
    reacting = actor_of(envelope, payload, act, where, listener)
    if isinstance(reacting, Kept):
        return reacting
    report = ChannelReactionReported(
        channel_id=listener.id,
        external_id=target.bare,
        from_us=reacting.from_us,
        person=reacting.person,
        emoji=emoji,
        reacted_at=told_at(envelope, received_at, _exactly(payload), payload.get("timestamp")),
    )
    return Reacted(report, reacting.chat.chat_id)


def _exactly(payload: Json) -> object:
    """When it was reacted, in milliseconds, where the engine says so."""
    said = _reaction(read_raw(payload))
    return said.get("senderTimestampMS") or said.get("senderTimestampMs")


def _reaction(raw: Raw) -> Json:
    return raw.fields if raw.kind == "reactionMessage" else {}


def read_housekeeping(
    envelope: Json, listener: Listener, received_at: datetime, raw: Raw
) -> Edited | Revocation | Kept | None:
    """What a message says that is no message but an act upon one; None for what is a message.

    Engines now and then hand these on as messages, such as the edit of a caption in an album. `raw`
    is the engine's own view of it.
    """
    payload, act = mapping(envelope.get("payload")), _protocol(raw)
    if not act:
        return Kept("ignored", "housekeeping") if _nobody_wrote(payload, raw) else None
    target = _target(act)
    if act.get("type") in _EDIT:
        return _edit(envelope, listener, received_at, act, target)
    act_id = message_id_of(payload)
    if act.get("type") in _REVOKE and act_id is not None:
        where = act_id.chat or payload.get("from")
        return _revocation(target or act_id.bare, where, listener, told_at(envelope, received_at))
    return Kept("ignored", "housekeeping")


def _nobody_wrote(payload: Json, raw: Raw) -> bool:
    """Whether it is a notice of the application's own, or the keys of a group without a message."""
    if raw.kind in BESIDE or (raw.kind == STUB and not raw.view_once):
        return not any(payload.get(name) for name in ("body", "hasMedia", "location", "vCards"))
    return raw.kind in _NOTICES


def _protocol(raw: Raw) -> Json:
    """The act that a message is; empty for what was written.

    WEBJS leaves the place of what was deleted, which names the message by itself or by a key.
    """
    if raw.kind == "revoked":
        return {"type": "REVOKE", "key": raw.fields.get("protocolMessageKey")}
    return raw.fields if raw.kind == "protocolMessage" else {}


def _target(protocol: Json) -> str | None:
    """The message that is acted upon."""
    key = mapping(protocol.get("key"))
    return bare_id(key.get("ID") or key.get("id") or key.get("_serialized"))
