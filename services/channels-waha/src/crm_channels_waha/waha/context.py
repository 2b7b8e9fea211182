"""Where, by whom and when something happened, whatever WAHA event tells of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared_events.channels.traffic import Person
from shared_events.contacts.contact import Identity
from shared_events.identity import IdentityKey, WhatsAppId, visible

from crm_channels_waha.waha.ids import WahaMessageId, conversation, person_id
from crm_channels_waha.waha.meaning import Kept, Listener
from crm_channels_waha.waha.raw import text_within
from crm_channels_waha.waha.reading import Json, mapping, number, text

_UNIX_BEGAN = 1970
_CLOCKS_DIFFER = timedelta(minutes=10)
_FAR_FUTURE_SECONDS = 1e11  # what is larger is milliseconds, or finer
_ALTERNATIVES = (
    *("remoteJidAlt", "senderPn", "senderLid"),
    *("participantAlt", "participantPn", "participantLid"),
)
"""Where NOWEB has somebody's other id: those of chats, then those of groups.

A chat's first is of the other side; who sent something is ourselves where it is ours.
"""
_NO_NAME = "-"  # whatsmeow's, where WhatsApp told none


def chat_of(where: object, listener: Listener) -> WhatsAppId | Kept:
    """The conversation a chat id names, or why it is none of the channel's."""
    chat = conversation(where)
    if chat is None:
        return Kept("ignored", "not a conversation")
    if chat.kind == "group" and not listener.allow_groups:
        return Kept("ignored", "groups are off")
    return chat


def is_from_us(payload: Json, message_id: WahaMessageId) -> bool:
    """Whether our own number did it."""
    from_me = payload.get("fromMe")
    return from_me if isinstance(from_me, bool) else bool(message_id.from_me)


def author_of(payload: Json, message_id: WahaMessageId, chat: WhatsAppId) -> WhatsAppId | None:
    """Who in a group it was, from the engine's own view where WAHA does not say; else None."""
    if chat.kind != "group":
        return None
    raw = mapping(payload.get("_data"))
    key, info = mapping(raw.get("key")), mapping(raw.get("Info"))
    told = (payload.get("participant"), message_id.participant)
    own = (key.get("participant"), raw.get("participant"), info.get("Sender"), raw.get("author"))
    return next(filter(None, map(person_id, (*told, *own))), None)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something in which chat: our own number, or somebody else."""

    chat: WhatsAppId
    from_us: bool
    person: Person


def actor_of(
    envelope: Json, said: Json, act: WahaMessageId, where: object, listener: Listener
) -> Actor | Kept:
    """Who did what is `said` within an event, in the chat named by `where`; else why not."""
    chat = chat_of(where, listener)
    if isinstance(chat, Kept):
        return chat
    from_us, author = is_from_us(said, act), author_of(said, act, chat)
    if chat.kind == "group" and author is None and not from_us:
        return Kept("unhandled", "done by nobody")
    return Actor(chat, from_us, person_of(envelope, chat, author, from_me=from_us))


def ours(envelope: Json) -> set[IdentityKey]:
    """Our own number, by phone and by hidden id, as far as the event tells."""
    me = mapping(envelope.get("me"))
    return {who.key for name in ("id", "jid", "lid") if (who := person_id(me.get(name)))}


def person_of(
    envelope: Json, chat: WhatsAppId, author: WhatsAppId | None, *, from_me: bool
) -> Person:
    """Who it concerns: the other side, the participant who spoke, or the group we spoke to.

    Engines now and then give our own number for the other id of somebody else: it never is.
    """
    raw = mapping(envelope, "payload", "_data")
    known = chat if chat.kind != "group" or from_me else author or chat
    if known.kind == "group":
        return Person(identities=[_identity(known)])
    info, key = mapping(raw.get("Info")), mapping(raw.get("key"))
    names = _ALTERNATIVES[3:] if chat.kind == "group" else _ALTERNATIVES[: 1 if from_me else 3]
    alternatives = (
        info.get("RecipientAlt" if from_me else "SenderAlt"),
        *(key.get(name) for name in names),
    )
    we = ours(envelope)
    others = [who for who in map(person_id, alternatives) if who and who.key not in we]
    push_name = None if from_me else _name(raw)  # that one is our own name
    return Person(
        identities=identities_of(known, others),
        push_name=push_name[:255] if push_name else None,
    )


def _name(raw: Json) -> str | None:
    """What somebody calls themselves, or the name WhatsApp verified of a company."""
    info = mapping(raw.get("Info"))
    said = text(info.get("PushName")) or text(raw.get("pushName")) or text(raw.get("notifyName"))
    verified = text_within(info.get("VerifiedName"), "verifiedName")
    named = said if visible(said) not in ("", _NO_NAME) else None
    return named or verified or text(raw.get("verifiedBizName"))


def identities_of(known: WhatsAppId, others: Iterable[WhatsAppId]) -> list[Identity]:
    """Somebody's ids, the phone first: how they are shown, and what else is said of them."""
    by_kind = {person.kind: person for person in reversed([known, *others])}
    return [_identity(by_kind[k]) for k in ("phone", "lid") if k in by_kind]


def _identity(who: WhatsAppId) -> Identity:
    return Identity(kind=who.kind, value=who.value)


def moment(told: object) -> datetime | None:
    """A time in seconds (seen now and then: in finer units, or written out); None for nonsense.

    So are 0 and null.
    """
    found = number(told)
    if found is None:
        return _written_out(told)
    while found > _FAR_FUTURE_SECONDS:
        found /= 1000
    try:
        return datetime.fromtimestamp(found, UTC) if found > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _written_out(told: object) -> datetime | None:
    """`2026-07-23T07:00:00-03:00`, as GOWS has it in `_data`."""
    try:
        at = datetime.fromisoformat(text(told) or "")
    except ValueError:
        return None
    # Go writes the first of January of the year 1 for a time that it does not know.
    return at.astimezone(UTC) if at.tzinfo and at.year >= _UNIX_BEGAN else None


def said_at(envelope: Json, received_at: datetime) -> datetime:
    """When a message was sent, from the engine's own view where WAHA does not say, or was told."""
    payload = mapping(envelope.get("payload"))
    raw = mapping(payload.get("_data"))
    places = (
        payload.get("timestamp"),
        raw.get("messageTimestamp"),
        raw.get("t"),
        mapping(raw.get("Info")).get("Timestamp"),
    )
    return next(filter(None, map(moment, places)), None) or told_at(envelope, received_at)


def told_at(envelope: Json, received_at: datetime, *said: object) -> datetime:
    """When something happened: the first of what is `said`, or when WAHA made the event.

    Nothing is believed that is further to come than clocks differ: what is newest counts, so such a
    time would hold up all that comes until then.
    """
    latest = received_at + _CLOCKS_DIFFER
    times = map(moment, (*said, envelope.get("timestamp")))  # an envelope counts milliseconds
    return next((at for at in times if at and at <= latest), received_at)
