"""History joins its conversations: each message once, at the place its time belongs to.

But for what was missed (`recovery.py`) nothing else is touched: no session is opened or goes on,
nothing becomes unread, and nobody is told unless whoever imports asks for it
(docs/adr/0024-history.md).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service_kit import forgotten
from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.channels.history import ChannelHistoryRead, as_received
from shared_events.identity import WhatsAppId
from shared_events.messaging.session import Session, SessionSummary
from shared_events.messaging.summaries import ChannelSummary

from crm_messaging.history import recovery, repository
from crm_messaging.history.numbering import Numbers, number
from crm_messaging.history.repository import ConversationKey, Interval, Joining
from crm_messaging.messages import repository as messages
from crm_messaging.messages.arrival import (
    Arrival,
    Received,
    group_of,
    mentioned,
    message_of,
    sender_of,
)
from crm_messaging.messages.changes.applying import apply_parked
from crm_messaging.messages.events import Conversation, telling
from crm_messaging.messages.members import Members
from crm_messaging.messages.placing import placed_at
from crm_messaging.messages.receipts import advance
from crm_messaging.messages.repository import MessageKey, Said
from crm_messaging.replicas import people
from crm_messaging.replicas import repository as replicas
from crm_messaging.sessions.repository import SessionKey

Chat = tuple[str, UUID, str]
"""Tenant, channel and chat."""


async def on_history_read(tx: Transaction, events: Sequence[Event[ChannelHistoryRead]]) -> None:
    """Store what is not known yet of these pages; what was missed is as if it had come live."""
    for recovered in (False, True):
        pages = [event for event in events if event.data.recovered is recovered]
        if pages:
            await _read(tx, pages, recovered=recovered)


async def _read(
    tx: Transaction, events: Sequence[Event[ChannelHistoryRead]], *, recovered: bool
) -> None:
    told = await _not_forgotten(tx, [r for event in events for r in _received(event)])
    asked = {r.id for r in events if r.data.notify}
    groups = {_chat(received): shown for received in told if (shown := group_of(received))}
    resolved = await people.resolve(tx, [*map(sender_of, told), *groups.values()])
    persons = resolved[: len(told)]
    among = dict(zip(groups, resolved[len(told) :], strict=True))
    known = await messages.find_ids(tx, mentioned(told))
    arrivals: dict[MessageKey, Arrival] = {}
    loud: set[MessageKey] = set()
    for received, person in zip(told, persons, strict=True):
        if person is None:  # told of somebody who was erased since
            continue
        group = among.get(_chat(received))
        arrival = Arrival(received.tenant_id, received.data, person, received.cause, group)
        if arrival.key not in known:
            arrivals.setdefault(arrival.key, arrival)
            if received.id in asked:
                loud.add(arrival.key)
    if not arrivals:
        return
    await replicas.remember_channels(
        tx, {(a.tenant_id, a.data.channel.id): a.data.channel for a in arrivals.values()}
    )
    now = datetime.now(UTC)
    said = sorted(arrivals.values(), key=lambda a: placed_at(a.data.sent_at, now))
    if recovered:
        sessions = await recovery.join(tx, said)
    else:
        sessions = await repository.intervals(tx, _intervals(said))
    places = await _places(tx, said, now, recovered=recovered)
    await _store(tx, said, sessions, places, known, loud, recovered=recovered)
    if recovered:
        await recovery.surface(tx, said, sessions, places)
    await apply_parked(tx, {key: arrival.cause for key, arrival in arrivals.items()})


def _chat(received: Received) -> Chat:
    return received.tenant_id, received.data.channel.id, received.data.chat_id


def _received(event: Event[ChannelHistoryRead]) -> list[Received]:
    return [
        Event(event.id, event.tenant_id, envelope, event.headers, event.cause)
        for envelope in as_received(event.body)
    ]


async def _not_forgotten(tx: Transaction, told: Sequence[Received]) -> list[Received]:
    """Those that were not said by, or to, somebody who was erased since: it went with them."""
    shown = {
        id(received): [
            (received.tenant_id, WhatsAppId(i.kind, i.value).key)
            for i in received.data.person.identities
        ]
        for received in told
    }
    erased = await forgotten.find(tx, {key for keys in shown.values() for key in keys})
    return [
        received
        for received in told
        if not any(
            key in erased and received.data.sent_at < erased[key].erased_at
            for key in shown[id(received)]
        )
    ]


def _intervals(said: Sequence[Arrival]) -> list[Interval]:
    grouped: dict[SessionKey, list[Arrival]] = {}
    for arrival in said:
        grouped.setdefault(arrival.session_key, []).append(arrival)
    return [
        Interval(
            key,
            group[0].data.channel.session_timeout_seconds,
            len(group),
            group[0].data.sent_at,
            group[-1].data.sent_at,
            group[0].conversation_id if group[0].among else None,
        )
        for key, group in grouped.items()
    ]


async def _places(
    tx: Transaction, said: Sequence[Arrival], now: datetime, *, recovered: bool
) -> dict[MessageKey, int]:
    """The places of messages, oldest first; their conversations are locked, and have made room."""
    grouped: dict[ConversationKey, list[Arrival]] = {}
    for arrival in said:
        grouped.setdefault((arrival.tenant_id, arrival.conversation_id), []).append(arrival)
    opened = await repository.open_(
        tx, [_joining(key, group[-1], now) for key, group in grouped.items()]
    )
    ordered = [(key, arrival) for key, group in grouped.items() for arrival in group]
    # Of one second, history stands in front of what was heard, and what was missed behind it.
    behind = timedelta(seconds=int(recovered))
    among = await repository.among(
        tx, [(key, placed_at(arrival.data.sent_at, now) + behind) for key, arrival in ordered]
    )
    found = {arrival.key: among.get(n) for n, (_, arrival) in enumerate(ordered)}
    numbers: dict[ConversationKey, Numbers] = {}
    for key, group in grouped.items():
        theirs = [found[arrival.key] for arrival in group]
        conversation = opened[key[1]]
        numbers[key] = number(
            [one.before if one else None for one in theirs],
            head=theirs[0].head if theirs[0] else None,
            tail=conversation.seq,
            read_seq=conversation.read_seq,
            recovered=recovered,
        )
    await repository.make_room(tx, numbers)
    return {
        arrival.key: place
        for key, group in grouped.items()
        for arrival, place in zip(group, numbers[key].places, strict=True)
    }


def _joining(key: ConversationKey, newest: Arrival, now: datetime) -> Joining:
    return Joining(
        key,
        newest.data.channel.id,
        None if newest.group else newest.person.contact_id,
        newest.group,
        placed_at(newest.data.sent_at, now),
    )


async def _store(
    tx: Transaction,
    said: Sequence[Arrival],
    sessions: Mapping[SessionKey, Session],
    places: Mapping[MessageKey, int],
    known: dict[MessageKey, UUID],
    loud: set[MessageKey],
    *,
    recovered: bool,
) -> None:
    parked = await messages.take_parked(tx, places)
    stored: list[Said] = []
    members = Members()
    for arrival in said:
        session = sessions[arrival.session_key]
        seq, historical = places[arrival.key], not recovered
        message = message_of(arrival, session.id, seq, known, historical=historical)
        if recovered:
            message = recovery.marked(message)
        known[arrival.key] = message.id
        if arrival.key in loud:
            channel = ChannelSummary(id=arrival.data.channel.id, name=arrival.data.channel.name)
            summary = SessionSummary(id=session.id, status=session.status)
            event = telling(
                message, message.status, Conversation(arrival.contact, summary, channel)
            )
            tx.outbox.add(event, session.id, tenant_id=arrival.tenant_id, cause=arrival.cause)
        for receipt in parked.get(arrival.key, ()):
            if members.takes(Said(arrival.tenant_id, message, arrival.data.chat_id), receipt):
                message = members.take(arrival.tenant_id, message, receipt)
            else:
                message = advance(message, receipt).message
        stored.append(Said(arrival.tenant_id, message, arrival.data.chat_id))
    await messages.insert(tx, stored)
    await members.save(tx)
