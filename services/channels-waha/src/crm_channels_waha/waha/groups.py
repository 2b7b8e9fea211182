"""What WAHA tells of groups (docs/waha.md, "Groups"): their subject, and who is in them."""

from collections.abc import Mapping
from datetime import datetime

from shared_events import bounds
from shared_events.channels.group import ChannelGroupReported, GroupMember
from shared_events.channels.traffic import Person
from shared_events.contacts.contact import Identity
from shared_events.identity import visible

from crm_channels_waha.waha.context import chat_of, told_at
from crm_channels_waha.waha.ids import person_id
from crm_channels_waha.waha.meaning import GroupSeen, Kept, Listener
from crm_channels_waha.waha.reading import Json, items, mapping, text

_ROLES = frozenset(("participant", "admin", "superadmin"))
_LONGEST_SUBJECT = bounds.limit(bounds.Name)


def read_group(envelope: Json, listener: Listener, received_at: datetime) -> GroupSeen | Kept:
    """`group.v2.join` and `.update`: what the group is now; members only where WAHA names them."""
    group = mapping(envelope.get("payload"), "group")
    return _seen(envelope, listener, received_at, _members(group.get("participants")))


def read_departure(envelope: Json, listener: Listener, received_at: datetime) -> GroupSeen | Kept:
    """`group.v2.leave`: our own number is not in the group any more."""
    me = mapping(envelope.get("me"))
    ours = _member({"id": me.get("lid") or me.get("id"), "pn": me.get("id")}, left=True)
    return _seen(envelope, listener, received_at, [ours] if ours else [])


def read_participants(
    envelope: Json, listener: Listener, received_at: datetime
) -> GroupSeen | Kept:
    """`group.v2.participants`: people joined, left, or became somebody else in it."""
    payload = mapping(envelope.get("payload"))
    members = _members(payload.get("participants"), left=payload.get("type") == "leave")
    return _seen(envelope, listener, received_at, members)


def subject_of(group: Json) -> str | None:
    """What a group is called that was looked up, whichever engine answers."""
    named = (
        group.get("subject"),  # NOWEB, which has it from WhatsApp as it is
        group.get("Name"),  # GOWS, which writes what its Go library has
        mapping(group, "groupMetadata").get("subject"),  # WEBJS
        group.get("name"),
    )
    return _cut(next(filter(None, map(text, named)), None))


def _cut(subject: str | None) -> str | None:
    return subject[:_LONGEST_SUBJECT] if subject else None


def _seen(
    envelope: Json, listener: Listener, received_at: datetime, members: list[GroupMember]
) -> GroupSeen | Kept:
    payload = mapping(envelope.get("payload"))
    group = mapping(payload.get("group"))
    chat = chat_of(group.get("id"), listener)
    if isinstance(chat, Kept):
        return chat
    subject = visible(text(group.get("subject")))
    if chat.kind != "group" or not (subject or members):
        return Kept("ignored", "nothing new of a group")
    report = ChannelGroupReported(
        channel=listener.channel,
        chat_id=chat.chat_id,
        subject=_cut(subject),
        members=members,
        told_at=told_at(envelope, received_at, payload.get("timestamp")),
    )
    return GroupSeen(report, chat.chat_id)


def _members(told: object, *, left: bool = False) -> list[GroupMember]:
    people = [one if isinstance(one, Mapping) else {"id": one} for one in items(told)]
    members = (_member(one, left=left or one.get("role") == "left") for one in people)
    return [member for member in members if member]


def _member(one: Mapping[str, object], *, left: bool) -> GroupMember | None:
    """`id` is how the group shows them, `pn` the phone, where WAHA knows it."""
    shown = {who.kind: who for who in map(person_id, (one.get("pn"), one.get("id"))) if who}
    if not shown:
        return None
    role = one.get("role")
    return GroupMember(
        person=Person(
            identities=[
                Identity(kind=shown[kind].kind, value=shown[kind].value)
                for kind in ("phone", "lid")
                if kind in shown
            ]
        ),
        role=str(role) if role in _ROLES else None,
        left=left,
    )
