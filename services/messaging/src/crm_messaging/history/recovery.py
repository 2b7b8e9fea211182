"""What a channel missed while it was deaf or away: news, whose place is where its time belongs.

It opens its person's session or goes on in it, is unread, and brings its conversation to the top of
the inbox (docs/adr/0032-liveness.md).
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from service_kit.database import Transaction
from shared_events.messaging.message import Message
from shared_events.messaging.session import Session, SessionStarted
from shared_events.messaging.summaries import ChannelSummary

from crm_messaging.history import repository
from crm_messaging.history.repository import Surfacing
from crm_messaging.messages.arrival import Arrival, note_members, openings
from crm_messaging.messages.repository import MessageKey
from crm_messaging.replicas import repository as replicas
from crm_messaging.sessions import repository as sessions
from crm_messaging.sessions.repository import SessionKey


async def join(tx: Transaction, said: Sequence[Arrival]) -> dict[SessionKey, Session]:
    """The active sessions of messages, oldest first; those that this opens are told of."""
    joined = await sessions.join(tx, openings(said))
    opened = {key for key, one in joined.items() if one.opened}
    for arrival in said:
        if arrival.session_key in opened:
            opened.remove(arrival.session_key)
            session = joined[arrival.session_key].session
            channel = ChannelSummary(id=arrival.data.channel.id, name=arrival.data.channel.name)
            whose = replicas.summary(arrival.among or arrival.person)
            started = SessionStarted(session=session, contact=whose, channel=channel)
            tx.outbox.add(started, session.id, tenant_id=arrival.tenant_id, cause=arrival.cause)
    if any(one.opened for one in joined.values()):
        await replicas.wake_assigner(tx, (arrival.tenant_id for arrival in said))
    return {key: one.session for key, one in joined.items()}


def marked(message: Message) -> Message:
    """The message, which says that it was recovered."""
    return message.model_copy(update={"metadata": {**message.metadata, "recovered": True}})


async def surface(
    tx: Transaction,
    said: Sequence[Arrival],
    joined: Mapping[SessionKey, Session],
    places: Mapping[MessageKey, int],
) -> None:
    """Show in conversations what joined them; what the company wrote answers all before it."""
    await note_members(tx, said)
    found: dict[UUID, Surfacing] = {}
    for arrival in said:
        one = found.setdefault(
            arrival.conversation_id,
            Surfacing(
                (arrival.tenant_id, arrival.conversation_id), joined[arrival.session_key], None
            ),
        )
        if arrival.data.direction == "outbound":
            one.answered = places[arrival.key]
    await repository.surface(tx, list(found.values()))
