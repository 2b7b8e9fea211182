"""What channels tell of groups."""

from collections.abc import Sequence
from datetime import UTC, datetime

from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.errors import PoisonError
from service_kit.incoming import Event
from service_kit.text import without_nul
from shared_events.channels.group import ChannelGroupReported
from shared_events.identity import WhatsAppId, conversation_id, parse_whatsapp_id
from shared_events.messaging.conversation import ConversationUpdated

from crm_messaging.groups import participants, repository
from crm_messaging.groups.participants import Group
from crm_messaging.groups.seats import Told
from crm_messaging.messages.placing import placed_at
from crm_messaging.replicas import people
from crm_messaging.replicas import repository as replicas

Reported = Event[ChannelGroupReported]


async def on_group_reported(tx: Transaction, events: Sequence[Reported]) -> None:
    """Let groups be called what they are called, and people be in them; a new one is opened."""
    await replicas.remember_channels(
        tx, {(e.tenant_id, e.data.channel.id): e.data.channel for e in events}
    )
    where = [(_group(event), event) for event in events]
    contacts = await people.resolve(tx, [_sender(event) for event in events])
    rows = await repository.open_(tx, {group: event.data.chat_id for group, event in where})
    renamed: dict[Group, Cause] = {}
    for group, event in where:
        data, row = event.data, rows[group.conversation_id]
        at = _at(data)
        if data.subject is None or (row.subject_at and at < row.subject_at):
            continue
        subject = without_nul(data.subject)
        if subject != row.subject:
            renamed[group] = event.cause
        now = {"subject": subject, "subject_at": at}
        rows[group.conversation_id] = row.model_copy(update=now)
    if renamed:
        await repository.rename(tx, [rows[group.conversation_id] for group in renamed])
        named = {group: contact for (group, _), contact in zip(where, contacts, strict=True)}
        await repository.rename_contacts(
            tx,
            [
                (contact, rows[group.conversation_id].subject or "")
                for group in renamed
                if (contact := named[group])
            ],
        )
    for group, cause in renamed.items():
        updated = ConversationUpdated(
            conversation_id=group.conversation_id,
            channel_id=group.channel_id,
            subject=rows[group.conversation_id].subject,
        )
        tx.outbox.add(updated, group.conversation_id, tenant_id=group.tenant_id, cause=cause)
    told = [(group, one, event.cause) for group, event in where for one in _told(event.data)]
    if told:
        await participants.note(tx, told)


def _group(event: Reported) -> Group:
    channel_id = event.data.channel.id
    return Group(event.tenant_id, conversation_id(channel_id, event.data.chat_id), channel_id)


def _sender(event: Reported) -> people.Sender:
    """The group as whoever a session is of."""
    who = parse_whatsapp_id(event.data.chat_id)
    if who is None:
        raise PoisonError("not_a_group", "Its chat is no group's.")
    return people.Sender(event.tenant_id, (who,), event.body.occurred_at, event.data.subject)


def _at(data: ChannelGroupReported) -> datetime:
    """When it was told, if that can be: a time to come would hold against all that follows."""
    return placed_at(data.told_at, datetime.now(UTC))


def _told(data: ChannelGroupReported) -> list[Told]:
    return [
        Told(
            [WhatsAppId(one.kind, one.value) for one in member.person.identities],
            _at(data),
            member.role,
            member.left,
        )
        for member in data.members
    ]
