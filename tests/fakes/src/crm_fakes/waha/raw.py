"""What engines put under `_data`: the raw message (docs/waha.md, "Messages")."""

from datetime import datetime, timedelta, timezone
from typing import Any

from crm_fakes.waha.messages import Message, raw_jid

Json = dict[str, Any]

_ZONE = timezone(timedelta(hours=-3))
_THUMBNAIL = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwc="
_WEBJS_TYPES = {"text": "chat", "voice": "ptt", "poll": "poll_creation"}
_GOWS_TYPES = {"text": "text", "poll": "poll", "location": "text", "vcard": "text"}


def iso_time(seconds: int) -> str:
    """Return the local time GOWS prints."""
    return datetime.fromtimestamp(seconds, _ZONE).isoformat()


def content(message: Message, gows: bool) -> Json:
    """Return the protocol message; GOWS and NOWEB differ in the case of a few keys only."""
    if message.kind == "text":
        return _text(message)
    if message.kind == "location" and message.location:
        place = message.location
        return {
            "locationMessage": {
                "degreesLatitude": place.latitude,
                "degreesLongitude": place.longitude,
                "name": place.name,
                "address": place.address,
            }
        }
    if message.kind == "vcard":
        cards = [{"displayName": display_name(v), "vcard": v} for v in message.vcards]
        if len(cards) == 1:
            return {"contactMessage": cards[0]}
        return {"contactsArrayMessage": {"contacts": cards}}
    if message.kind == "poll" and message.poll:
        return {
            "pollCreationMessageV3": {
                "name": message.poll.name,
                "options": [{"optionName": option} for option in message.poll.options],
                "selectableOptionsCount": 0 if message.poll.multiple else 1,
            }
        }
    return _file(message, gows)


def _text(message: Message) -> Json:
    context = _context(message)
    if not context:
        if message.from_me:
            return {"extendedTextMessage": {"text": message.text}}
        return {"conversation": message.text}
    return {"extendedTextMessage": {"text": message.text, "contextInfo": context}}


def _context(message: Message) -> Json:
    context: Json = {}
    if quoted := message.reply_to:
        context = {
            "stanzaId": quoted.bare_id,
            "participant": raw_jid(quoted.participant or quoted.chat),
            "quotedMessage": {"conversation": quoted.text},
        }
    if message.mentions:
        context["mentionedJid"] = [raw_jid(mentioned) for mentioned in message.mentions]
    return context


def _file(message: Message, gows: bool) -> Json:
    media = message.media
    kind = "audio" if message.kind == "voice" else message.kind
    body: Json = {
        "URL" if gows else "url": "https://mmg.whatsapp.net/v/example.enc",
        "mimetype": media.mimetype if media else None,
        "fileLength": str(len(media.content)) if media else "0",
    }
    if kind == "audio":
        body |= {"seconds": 11, "PTT" if gows else "ptt": message.kind == "voice"}
    if kind == "document" and media:
        body["fileName"] = media.filename
    if message.text:
        body["caption"] = message.text
    if kind == "document" and message.text:
        return {"documentWithCaptionMessage": {"message": {"documentMessage": body}}}
    return {f"{kind}Message": body}


def display_name(vcard: str) -> str:
    """Return the FN line of a vCard."""
    for line in vcard.splitlines():
        if line.startswith("FN:"):
            return line[3:]
    return ""


def gows(message: Message, me: str) -> Json:
    """Return GOWS's `{Info, Message}`; `me` is our chat id."""
    phone = f"{message.phone}@s.whatsapp.net" if message.phone else ""
    hidden = (message.participant or message.chat).endswith("@lid")
    author = f"{me.split('@')[0]}:12@c.us" if message.from_me else message.participant
    info = {
        "Chat": raw_jid(message.chat),
        "Sender": raw_jid(author or message.chat),
        "IsFromMe": message.from_me,
        "IsGroup": message.is_group,
        "AddressingMode": "lid" if hidden else "",
        "SenderAlt": phone if hidden and not message.from_me else "",
        "RecipientAlt": phone if hidden and message.from_me else "",
        "BroadcastListOwner": "",
        "ID": message.bare_id,
        "ServerID": 0,
        "Type": _GOWS_TYPES.get(message.kind, "media"),
        "PushName": message.push_name or "",
        "Timestamp": iso_time(message.timestamp),
        "Category": "",
        "Multicast": False,
        "MediaType": _gows_media_type(message),
        "Edit": "",
    }
    return {"Info": info, "Message": content(message, gows=True)}


def _gows_media_type(message: Message) -> str:
    if message.media is None:
        return ""
    return "ptt" if message.kind == "voice" else message.kind


def noweb_key(message: Message) -> Json:
    """Return the key by which NOWEB knows a message."""
    key: Json = {
        "remoteJid": raw_jid(message.chat),
        "fromMe": message.from_me,
        "id": message.bare_id,
    }
    if message.participant:
        key["participant"] = raw_jid(message.participant)
    if message.phone and (message.participant or message.chat).endswith("@lid"):
        alt = "participantAlt" if message.participant else "remoteJidAlt"
        key[alt] = f"{message.phone}@s.whatsapp.net"
    return key


def noweb(message: Message) -> Json:
    """Return NOWEB's raw message; its status is the ack plus one."""
    return {
        "key": noweb_key(message),
        "messageTimestamp": message.timestamp,
        "pushName": message.push_name,
        "broadcast": False,
        "message": content(message, gows=False),
        "status": message.ack + 1,
    }


def webjs_id(message: Message) -> Json:
    """Return WEBJS's id object, as in an answer: without the author in groups."""
    return {
        "fromMe": message.from_me,
        "remote": message.chat,
        "id": message.bare_id,
        "_serialized": message.short_id,
    }


def webjs(message: Message, me: str) -> Json:
    """Return WEBJS's raw message."""
    raw: Json = {
        "id": webjs_id(message) | {"_serialized": message.full_id},
        "body": webjs_body(message),
        "type": _WEBJS_TYPES.get(message.kind, message.kind),
        "t": message.timestamp,
        "notifyName": message.push_name,
        "from": me if message.from_me else message.chat,
        "to": message.chat if message.from_me else me,
        "ack": message.ack,
    }
    if message.participant:
        raw["author"] = message.participant
    if message.media:
        raw |= {"mimetype": message.media.mimetype, "caption": message.text}
        raw["body"] = _THUMBNAIL
    if message.location:
        raw |= {"lat": message.location.latitude, "lng": message.location.longitude}
    if message.poll:
        raw |= {
            "pollName": message.poll.name,
            "pollOptions": [{"name": o, "localId": n} for n, o in enumerate(message.poll.options)],
        }
    return raw


def webjs_body(message: Message) -> str:
    """Return the body WEBJS reports: a thumbnail for places, the card itself for contacts."""
    if message.kind == "location":
        return _THUMBNAIL
    if message.kind == "vcard" and len(message.vcards) == 1:
        return message.vcards[0]
    return message.text or ""


def webjs_location(message: Message) -> Json | None:
    """Return WEBJS's location: numbers as text, and the thumbnail."""
    place = message.location
    if place is None:
        return None
    return {
        "live": False,
        "latitude": str(place.latitude),
        "longitude": str(place.longitude),
        "name": place.name,
        "address": place.address,
        "thumbnail": _THUMBNAIL,
    }
