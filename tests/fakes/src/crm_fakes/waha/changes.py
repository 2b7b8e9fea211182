"""Changing messages after they were said: what is told of edits, deletions, reactions and votes.

Their shapes differ per engine (docs/waha.md, "Changes"): WEBJS tells an edit or a vote under the
message's own id, GOWS and NOWEB under the id of the act.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from crm_fakes.waha import engines, raw
from crm_fakes.waha.deliveries import Delivery
from crm_fakes.waha.messages import Message, new_bare_id, raw_jid
from crm_fakes.waha.raw import Json
from crm_fakes.waha.sessions import WORKING, WahaSession

Emit = Callable[[WahaSession, str, object], list[Delivery]]
_EDIT: dict[str, int | str] = {"GOWS": 14, "NOWEB": "MESSAGE_EDIT"}
_REVOKE: dict[str, int | str] = {"GOWS": 0, "NOWEB": "REVOKE"}


def act_of(session: WahaSession, message: Message, text: str | None, source: str) -> Message:
    """The act upon a message, by who wrote it; it has an id of its own."""
    return replace(
        message,
        bare_id=new_bare_id(session.engine, from_me=message.from_me),
        kind="text",
        text=text,
        source="api" if source == "api" else "app",
        timestamp=int(time.time()),
        media=None,
        reply_to=None,
        reacted={},
        receipts={},
        edited_ms=None,
    )


def edit(emit: Emit, session: WahaSession, message: Message, act: Message) -> list[Delivery]:
    """Replace a message's text by its act's, and tell it."""
    message.text, message.edited_ms = act.text, int(time.time() * 1000)
    if session.engine == "WEBJS":
        payload = engines.payload(message, "WEBJS", session.me_id)
        payload["_data"]["latestEditSenderTimestampMs"] = message.edited_ms
    else:
        payload = engines.payload(act, session.engine, session.me_id)
        edited = {"conversation": act.text}
        payload["_data"] = _raw(session, message, act, {"editedMessage": edited}, _EDIT)
    payload["editedMessageId"] = message.bare_id
    return _tell(emit, session, message, "message.edited", payload)


def revoke(emit: Emit, session: WahaSession, message: Message, act: Message) -> list[Delivery]:
    """Delete a message for everyone, and tell it."""
    message.revoked = True
    before: Json | None = None
    if session.engine == "WEBJS":
        before = engines.payload(message, "WEBJS", session.me_id)
        after = before | {"body": "", "_data": before["_data"] | {"type": "revoked"}}
    else:
        after = engines.payload(act, session.engine, session.me_id)
        after["_data"] = _raw(session, message, act, {}, _REVOKE)
    payload = {"after": after, "before": before, "revokedMessageId": message.bare_id}
    return _tell(emit, session, message, "message.revoked", payload)


def react(emit: Emit, session: WahaSession, message: Message, reaction: Message) -> list[Delivery]:
    """Tell a reaction to a message; an empty one takes it away."""
    who = "" if reaction.from_me else reaction.participant or reaction.chat
    message.reacted[who] = reaction
    ours = session.engine == "WEBJS" and reaction.from_me
    payload = {
        "id": reaction.full_id,
        "timestamp": reaction.timestamp,
        "from": session.me_id if ours else reaction.chat,
        "fromMe": reaction.from_me,
        "source": reaction.source,
        "to": reaction.chat if ours else None,
        "participant": reaction.participant,
        "reaction": {"text": reaction.text or "", "messageId": message.full_id},
    }
    return _tell(emit, session, message, "message.reaction", payload)


def vote(
    emit: Emit, session: WahaSession, poll: Message, act: Message, chosen: Sequence[str] | None
) -> list[Delivery]:
    """Tell what somebody chose of a poll, nothing to withdraw; None could not be decrypted.

    What was chosen is told in full. The time is in milliseconds, of NOWEB's failures in seconds.
    """
    engine, at = session.engine, int(time.time() * 1000)
    act_id = act.full_id
    if engine == "WEBJS":
        act_id = replace(act, bare_id=poll.bare_id).full_id
    if engine == "NOWEB" and chosen is None:
        at //= 1000
    told: Json = {
        "id": act_id,
        **_ends(session, act),
        "selectedOptions": None if chosen is None and engine == "GOWS" else list(chosen or ()),
        "timestamp": at,
    }
    creation = {"id": poll.full_id, **_ends(session, poll)}
    payload: Json = {"vote": told, "poll": creation}
    if engine == "GOWS":
        told["participant"] = act.participant
        payload["_data"] = raw.gows(act, session.me_id) | {"Votes": told["selectedOptions"]}
    failed = ".failed" if chosen is None else ""
    return _tell(emit, session, poll, f"poll.vote{failed}", payload)


def _ends(session: WahaSession, message: Message) -> Json:
    """From whom to whom: we are "me" on NOWEB; GOWS names the chat, as it does of messages."""
    if session.engine == "GOWS" and message.participant:
        sender, receiver = message.chat, message.participant
    elif session.engine == "GOWS":
        return {"from": message.chat, "to": None, "fromMe": message.from_me}
    else:
        me = "me" if session.engine == "NOWEB" else session.me_id
        sender = message.participant or (me if message.from_me else message.chat)
        receiver = message.chat if message.from_me or message.participant else me
    return {"from": sender, "to": receiver, "fromMe": message.from_me}


def _raw(
    session: WahaSession, message: Message, act: Message, said: Json, kinds: dict[str, int | str]
) -> Json:
    """The protocol message of GOWS or NOWEB."""
    at = int(time.time() * 1000)
    if session.engine == "GOWS":
        key: Json = {"ID": message.bare_id}
        protocol = {"type": kinds["GOWS"], "key": key, "timestampMS": at, **said}
        whole = raw.gows(act, session.me_id)
        return whole | {"Message": {"protocolMessage": protocol}}
    key = {
        "remoteJid": raw_jid(message.chat),
        "fromMe": message.from_me,
        "id": message.bare_id,
    }
    protocol = {"type": kinds["NOWEB"], "key": key, "timestampMs": str(at), **said}
    content: Json = {"protocolMessage": protocol}
    if said:
        content = {"editedMessage": {"message": content}}
    return raw.noweb(act) | {"message": content}


def _tell(
    emit: Emit, session: WahaSession, message: Message, event: str, payload: object
) -> list[Delivery]:
    if session.status != WORKING or session.ignores(message.chat):
        return []
    return emit(session, event, payload)
