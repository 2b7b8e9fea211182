"""Where, by whom and when something happened, whatever WAHA event tells of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from shared_events.channels.traffic import Person
from shared_events.contacts.contact import Identity
from shared_events.identity import WhatsAppId

from crm_channels_waha.waha.ids import WahaMessageId, conversation, person_id
from crm_channels_waha.waha.meaning import Kept, Listener
from crm_channels_waha.waha.reading import Json, mapping, number, text

_FAR_FUTURE_SECONDS = 1e11  # what is larger is milliseconds


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
    """Who in a group it was; None in a chat of two."""
    if chat.kind != "group":
        return None
    return person_id(payload.get("participant")) or person_id(message_id.participant)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something in which chat: our own number, or somebody else."""

    chat: WhatsAppId
    from_us: bool
    person: Person


def actor_of(
    payload: Json, said: Json, act: WahaMessageId, where: object, listener: Listener
) -> Actor | Kept:
    """Who did what is `said` within the payload, in the chat named by `where`; else why not."""
    chat = chat_of(where, listener)
    if isinstance(chat, Kept):
        return chat
    from_us, author = is_from_us(said, act), author_of(said, act, chat)
    if chat.kind == "group" and author is None and not from_us:
        return Kept("unhandled", "done by nobody")
    return Actor(chat, from_us, person_of(payload, chat, author, from_me=from_us))


def person_of(
    payload: Json, chat: WhatsAppId, author: WhatsAppId | None, *, from_me: bool
) -> Person:
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
    push_name = (
        None
        if from_me  # that one is our own name
        else text(info.get("PushName")) or text(raw.get("pushName")) or text(raw.get("notifyName"))
    )
    return Person(
        identities=identities_of(known, alternatives),
        push_name=push_name[:255] if push_name else None,
    )


def identities_of(known: WhatsAppId, alternatives: Iterable[object]) -> list[Identity]:
    """Somebody's ids, the phone first: how they are shown, and what else is said of them."""
    found = [known, *filter(None, map(person_id, alternatives))]
    by_kind = {person.kind: person for person in reversed(found)}
    return [_identity(by_kind[k]) for k in ("phone", "lid") if k in by_kind]


def _identity(who: WhatsAppId) -> Identity:
    return Identity(kind=who.kind, value=who.value)


def moment(seconds: object) -> datetime | None:
    """A time in seconds (or, seen now and then, milliseconds); None for 0, null and nonsense."""
    found = number(seconds)
    if found is None or found <= 0:
        return None
    try:
        return datetime.fromtimestamp(found / 1000 if found > _FAR_FUTURE_SECONDS else found, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def told_at(envelope: Json, received_at: datetime) -> datetime:
    """When WAHA made the event (its envelope counts milliseconds)."""
    return moment(envelope.get("timestamp")) or received_at
