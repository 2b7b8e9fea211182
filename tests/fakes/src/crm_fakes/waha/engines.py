"""The shapes of each engine: webhook payloads, acks and answers to a send."""

from crm_fakes.waha import raw, shapes
from crm_fakes.waha.messages import ACK_NAMES, PLAYED, READ, Engine, Message, raw_jid
from crm_fakes.waha.raw import Json

FIRST_ACK: dict[Engine, int] = {"GOWS": 1, "NOWEB": 0, "WEBJS": 0}
"""The ack of an API send at its echo. GOWS says SERVER there and never acks it apart."""
INBOUND_ACK: dict[Engine, int] = {"GOWS": 2, "NOWEB": 2, "WEBJS": 1}
PRE_GENERATED_IDS: frozenset[Engine] = frozenset({"GOWS", "NOWEB"})


def payload(message: Message, engine: Engine, me: str) -> Json:
    """Return the WAMessage of a message, in its shape; `me` is our chat id."""
    ordinary = _payload(message, engine, me)
    if message.shape is None:
        return ordinary
    return shapes.play(message.shape, ordinary, message.text or "")


def _payload(message: Message, engine: Engine, me: str) -> Json:
    head: Json = {
        "id": message.full_id,
        "timestamp": message.timestamp,
        "from": message.chat,
        "fromMe": message.from_me,
        "source": message.source,
    }
    media = _media(message)
    acked: Json = {"ack": message.ack, "ackName": ACK_NAMES[message.ack]}
    vcards = message.vcards or None
    if engine == "GOWS":
        return head | {
            "body": message.text,
            "to": message.participant if not message.from_me else None,
            "participant": message.participant,
            **media,
            "ack": message.ack,
            "location": _location(message),
            "vCards": vcards,
            "ackName": ACK_NAMES[message.ack],
            "replyTo": _reply(message),
            "_data": raw.gows(message, me),
        }
    if engine == "NOWEB":
        group = {"to": message.chat, "participant": message.participant}
        return head | {
            **(group if message.is_group else {}),
            "body": message.text,
            **media,
            **acked,
            "location": _location(message),
            "vCards": vcards,
            "replyTo": _reply(message),
            "_data": raw.noweb(message),
        }
    return head | {
        "from": me if message.from_me else message.chat,
        "to": message.chat if message.from_me else me,
        **({"participant": message.participant} if message.participant else {}),
        "body": raw.webjs_body(message),
        **media,
        **acked,
        "location": raw.webjs_location(message),
        "vCards": message.vcards,
        **({"replyTo": _reply(message)} if message.reply_to else {}),
        "_data": raw.webjs(message, me),
    }


def group(engine: Engine, chat: str, subject: str) -> Json:
    """Return a group that was looked up."""
    if engine == "GOWS":
        return {"JID": chat, "Name": subject, "Topic": "", "Participants": []}
    if engine == "NOWEB":
        return {"id": chat, "subject": subject, "desc": None, "participants": []}
    whole = {"server": "g.us", "user": chat.partition("@")[0], "_serialized": chat}
    return {"id": whole, "name": subject, "groupMetadata": {"id": whole, "subject": subject}}


def _media(message: Message) -> Json:
    media = message.media
    if media is None:
        return {"hasMedia": False, "media": None}
    if media.url is None:
        return {"hasMedia": True, "media": None}
    shown = {"url": media.url, "filename": media.filename, "mimetype": media.mimetype}
    return {"hasMedia": True, "media": shown}


def _location(message: Message) -> Json | None:
    place = message.location
    if place is None:
        return None
    return {
        "live": False,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "name": place.name,
        "address": place.address,
    }


def _reply(message: Message) -> Json | None:
    quoted = message.reply_to
    if quoted is None:
        return None
    return {
        "id": quoted.bare_id,
        "participant": quoted.participant or quoted.chat,
        "body": quoted.text,
        "hasMedia": quoted.media is not None,
        "media": None,
        "_data": {"conversation": quoted.text},
    }


def ack_event(message: Message) -> str:
    """Return the event name of acks of this message's chat."""
    return "message.ack.group" if message.is_group else "message.ack"


def ack_payload(
    message: Message, engine: Engine, me: str, level: int, at: int, participant: str | None
) -> Json:
    """Return one ack; `at` in seconds, `participant` the reader in groups."""
    if engine == "WEBJS" and not message.is_group:
        whole = payload(message, engine, me)
        return whole | {"ack": level, "ackName": ACK_NAMES[level]}
    base: Json = {"id": message.full_id, "from": message.chat}
    tail: Json = {"fromMe": message.from_me, "ack": level, "ackName": ACK_NAMES[level]}
    if engine != "GOWS":
        group = {"to": participant, "participant": participant} if participant else {}
        return base | group | tail
    reader = participant or (message.chat if message.from_me else me)
    data = {
        "Chat": raw_jid(message.chat),
        "Sender": raw_jid(reader),
        "IsFromMe": not message.from_me,
        "IsGroup": message.is_group,
        "MessageIDs": [message.bare_id],
        "Timestamp": raw.iso_time(at),
        "Type": {READ: "read", PLAYED: "played"}.get(level, ""),
    }
    return base | {"to": participant, "participant": participant} | tail | {"_data": data}


def answer(message: Message, engine: Engine, me: str) -> Json:
    """Return the body of a successful send, which differs per engine."""
    if engine == "GOWS":
        return {"id": message.full_id, "_data": raw.gows(message, me)}
    if engine == "NOWEB":
        if message.kind == "poll":
            return payload(message, engine, me)
        return {
            "key": raw.noweb_key(message),
            "message": raw.content(message, gows=False),
            "messageTimestamp": str(message.timestamp),
            "status": "PENDING",
        }
    return {
        "id": raw.webjs_id(message),
        "_data": raw.webjs(message, me),
        "ack": message.ack,
        "timestamp": message.timestamp,
        "body": raw.webjs_body(message),
        "from": me,
        "to": message.chat,
        "fromMe": True,
        "hasMedia": message.media is not None,
    }
