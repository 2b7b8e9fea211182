"""Messages arriving: the hot path. A batch costs a handful of statements, whatever its size."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.ids import uuid7
from service_kit.incoming import Event
from service_kit.text import without_nul
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.identity import WhatsAppId, parse_whatsapp_id
from shared_events.messaging.message import Message
from shared_events.messaging.session import SessionStarted, SessionSummary
from shared_events.messaging.summaries import ChannelSummary, ContactSummary

from crm_messaging.conversations import repository as conversations
from crm_messaging.groups import participants
from crm_messaging.groups.participants import Group
from crm_messaging.groups.seats import Told
from crm_messaging.messages import repository
from crm_messaging.messages.changes.applying import apply_parked
from crm_messaging.messages.events import Conversation, telling
from crm_messaging.messages.media import media_url, shown_beside
from crm_messaging.messages.members import Members
from crm_messaging.messages.placing import placed_at
from crm_messaging.messages.receipts import Receipt, advance
from crm_messaging.messages.repository import MessageKey, Said
from crm_messaging.replicas import people
from crm_messaging.replicas import repository as replicas
from crm_messaging.replicas.models import ContactRef
from crm_messaging.sessions import repository as sessions
from crm_messaging.sessions.waiting import talk

Received = Event[ChannelMessageReceived]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that came in, and whose it is; `among` is the group whose session it joins."""

    tenant_id: str
    data: ChannelMessageReceived
    person: ContactRef
    cause: Cause
    among: ContactRef | None = None

    @property
    def contact(self) -> ContactSummary:
        """Its person, as events show it."""
        return replicas.summary(self.person)

    @property
    def key(self) -> MessageKey:
        """What names it, whoever tells of it."""
        return self.tenant_id, self.data.channel.id, self.data.external_id

    @property
    def session_key(self) -> sessions.SessionKey:
        """Whose session it is of."""
        return self.tenant_id, self.data.channel.id, (self.among or self.person).contact_id

    @property
    def group(self) -> str | None:
        """The chat of the group it was said in."""
        return self.data.chat_id if self.data.is_group else None

    @property
    def conversation_id(self) -> UUID:
        """The conversation it joins."""
        return conversations.id_of(self.data.channel.id, self.person, self.group)


async def on_message_received(tx: Transaction, events: Sequence[Received]) -> None:
    """Store what arrived, each message once, in the contact's active session, and say so."""
    groups = {event.id: shown for event in events if (shown := group_of(event))}
    resolved = await people.resolve(tx, [*map(sender_of, events), *groups.values()])
    persons, among = (
        resolved[: len(events)],
        dict(zip(groups, resolved[len(events) :], strict=True)),
    )
    known = await repository.find_ids(tx, mentioned(events))
    arrivals: dict[MessageKey, Arrival] = {}
    for event, person in zip(events, persons, strict=True):
        if person is None:  # told of somebody who was erased since
            continue
        arrival = Arrival(event.tenant_id, event.data, person, event.cause, among.get(event.id))
        if arrival.key not in known:
            arrivals.setdefault(arrival.key, arrival)
    if not arrivals:
        return
    await replicas.remember_channels(
        tx, {(a.tenant_id, a.data.channel.id): a.data.channel for a in arrivals.values()}
    )
    parked = await repository.take_parked(tx, arrivals)
    arrived = list(arrivals.values())
    joined = await sessions.join(tx, openings(arrived))
    said = await conversations.say(tx, _turns(arrived, joined))
    await note_members(tx, arrived)
    await _store(tx, arrived, joined, said, known, parked)
    await apply_parked(tx, {key: arrival.cause for key, arrival in arrivals.items()})


async def note_members(tx: Transaction, arrived: Sequence[Arrival]) -> None:
    """Whoever writes in a group is in it."""
    if seen := [one for arrival in arrived if (one := _seen(arrival))]:
        await participants.note(tx, seen)


def _seen(arrival: Arrival) -> tuple[Group, Told, Cause] | None:
    """Who shows themselves in a group; what the company itself wrote there shows nobody."""
    shown = [WhatsAppId(i.kind, i.value) for i in arrival.data.person.identities]
    if not arrival.group or arrival.data.direction == "outbound" or shown[0].kind == "group":
        return None
    group = Group(arrival.tenant_id, arrival.conversation_id, arrival.data.channel.id)
    return group, Told(shown, placed_at(arrival.data.sent_at, datetime.now(UTC))), arrival.cause


def mentioned(events: Sequence[Received]) -> list[MessageKey]:
    """The messages themselves and those they answer."""
    return [
        (event.tenant_id, event.data.channel.id, external_id)
        for event in events
        for external_id in (event.data.external_id, event.data.reply_to_external_id)
        if external_id is not None
    ]


def sender_of(event: Received) -> people.Sender:
    """Whom a message shows."""
    data = event.data
    # On an outbound message the name is the company's own.
    name = data.person.push_name if data.direction == "inbound" else None
    identities = tuple(WhatsAppId(i.kind, i.value) for i in data.person.identities)
    return people.Sender(event.tenant_id, identities, event.body.occurred_at, name)


def group_of(event: Received) -> people.Sender | None:
    """The group a message was said in: it is what has the session (docs/adr/0026-groups.md)."""
    who = parse_whatsapp_id(event.data.chat_id) if event.data.is_group else None
    return people.Sender(event.tenant_id, (who,), event.body.occurred_at) if who else None


def openings(arrivals: Sequence[Arrival]) -> list[sessions.Opening]:
    """The sessions that messages join, each with what it gets, in their order."""
    now = datetime.now(UTC)
    grouped: dict[sessions.SessionKey, list[Arrival]] = {}
    for arrival in arrivals:
        grouped.setdefault(arrival.session_key, []).append(arrival)
    return [
        sessions.Opening(
            tenant_id=tenant_id,
            channel_id=channel_id,
            contact_id=contact_id,
            chat_id=_reply_chat(group),
            opened_by=group[0].data.origin,
            timeout_seconds=group[-1].data.channel.session_timeout_seconds,
            messages=len(group),
            talk=talk((a.data.direction, placed_at(a.data.sent_at, now)) for a in group),
            conversation_id=group[0].conversation_id if group[0].among else None,
        )
        for (tenant_id, channel_id, contact_id), group in grouped.items()
    ]


def _turns(
    arrivals: Sequence[Arrival], joined: Mapping[sessions.SessionKey, sessions.Joined]
) -> list[conversations.Turn]:
    grouped: dict[UUID, list[Arrival]] = {}
    for arrival in arrivals:
        grouped.setdefault(arrival.conversation_id, []).append(arrival)
    turns = []
    for conversation_id, said in grouped.items():
        first = said[0]
        ours = [n for n, each in enumerate(said, start=1) if each.data.direction == "outbound"]
        answered = ours[-1] if ours else 0
        turns.append(
            conversations.Turn(
                id=conversation_id,
                tenant_id=first.tenant_id,
                channel_id=first.data.channel.id,
                contact_id=None if first.group else first.person.contact_id,
                chat_id=first.group,
                messages=len(said),
                unread=len(said) - answered,
                answered=answered,
                session=joined[first.session_key].session,
            )
        )
    return turns


def _reply_chat(arrivals: Sequence[Arrival]) -> str | None:
    """Where an answer goes: into the group, or the chat the person last wrote in.

    What an agent writes to a person must not appear before a group the person also writes in.
    """
    chats = (a.data.chat_id for a in reversed(arrivals) if a.among or not a.data.is_group)
    return next(chats, None)


async def _store(
    tx: Transaction,
    arrivals: Sequence[Arrival],
    joined: Mapping[sessions.SessionKey, sessions.Joined],
    said: Mapping[UUID, int],
    known: dict[MessageKey, UUID],
    parked: Mapping[MessageKey, Sequence[Receipt]],
) -> None:
    seq = {id_: said[id_] - n for id_, n in Counter(a.conversation_id for a in arrivals).items()}
    started: set[UUID] = set()
    stored: list[Said] = []
    members = Members()
    for arrival in arrivals:
        tenant_id = arrival.tenant_id
        session = joined[arrival.session_key].session
        seq[arrival.conversation_id] += 1
        message = message_of(arrival, session.id, seq[arrival.conversation_id], known)
        known[arrival.key] = message.id
        channel = ChannelSummary(id=arrival.data.channel.id, name=arrival.data.channel.name)
        conversation = Conversation(
            arrival.contact, SessionSummary(id=session.id, status=session.status), channel
        )
        if joined[arrival.session_key].opened and session.id not in started:
            started.add(session.id)
            whose = replicas.summary(arrival.among or arrival.person)
            event = SessionStarted(session=session, contact=whose, channel=channel)
            tx.outbox.add(event, session.id, tenant_id=tenant_id, cause=arrival.cause)
        arrived = telling(message, message.status, conversation)
        tx.outbox.add(arrived, session.id, tenant_id=tenant_id, cause=arrival.cause)
        for receipt in parked.get(arrival.key, ()):
            if members.takes(Said(tenant_id, message, arrival.data.chat_id), receipt):
                message = members.take(tenant_id, message, receipt)
                continue
            progress = advance(message, receipt)
            message = progress.message
            if progress.raised:
                told = telling(message, receipt.status, conversation)
                tx.outbox.add(told, session.id, tenant_id=tenant_id, cause=arrival.cause)
        stored.append(Said(tenant_id, message, arrival.data.chat_id))
    if started:
        await replicas.wake_assigner(tx, (a.tenant_id for a in arrivals))
    await repository.insert(tx, stored)
    await members.save(tx)


def message_of(
    arrival: Arrival,
    session_id: UUID,
    seq: int,
    known: Mapping[MessageKey, UUID],
    *,
    historical: bool = False,
) -> Message:
    """The message as it is stored; what it answers is one of those `known`."""
    data = arrival.data
    replied = known.get((arrival.tenant_id, data.channel.id, data.reply_to_external_id or ""))
    now = datetime.now(UTC)
    return Message(
        id=uuid7(),
        contact_id=arrival.person.contact_id,
        session_id=session_id,
        conversation_id=arrival.conversation_id,
        channel_id=data.channel.id,
        external_id=data.external_id,
        direction=data.direction,
        origin=data.origin,
        content_type=data.content_type,
        content=without_nul(data.content),
        media_id=data.media.id if data.media else None,
        media_url=media_url(data.media),
        media_mime_type=data.media.mime_type if data.media else None,
        reply_to_id=replied,
        metadata=_metadata(data, replied),
        status="received" if data.direction == "inbound" else "sent",
        sent_at=data.sent_at,
        seq=seq,
        historical=historical,
        created_at=now,
        updated_at=now,
    )


def _participant(data: ChannelMessageReceived) -> list[dict[str, Any]]:
    """Who of a group wrote it. What is ours is to the group: its person is not who wrote it."""
    if data.direction == "inbound":
        return [identity.model_dump() for identity in data.person.identities]
    us = parse_whatsapp_id(str(data.details.get("participant", "")))
    return [{"kind": us.kind, "value": us.value}] if us else []


def _metadata(data: ChannelMessageReceived, replied: UUID | None) -> dict[str, Any]:
    """What has no column: where it was said, what came with it."""
    metadata: dict[str, Any] = {**data.details, "chat_id": data.chat_id}
    if data.is_group:
        metadata["is_group"] = True
        metadata["participant"] = _participant(data)
    if data.media is not None:
        metadata["media"] = shown_beside(data.media)
    if data.reply_to_external_id is not None and replied is None:
        metadata["reply_to_external_id"] = data.reply_to_external_id
    cleaned: dict[str, Any] = without_nul(metadata)
    return cleaned
