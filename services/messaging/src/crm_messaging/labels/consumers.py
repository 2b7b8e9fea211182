"""What channels tell of labels, and of chats that have them.

Labels make nobody a contact: of a chat in which nothing was said yet they are kept, and told once
there is somebody to tell it of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from uuid import UUID

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.channels.label import ChannelChatLabelled, ChannelLabelChanged, Label
from shared_events.identity import WhatsAppId, conversation_id
from shared_events.messaging.label import LabelAdded, LabelRemoved
from shared_events.messaging.summaries import ChannelSummary

from crm_messaging.conversations import repository as conversations
from crm_messaging.labels import repository
from crm_messaging.labels.models import ChatLabel, LabelRef
from crm_messaging.labels.repository import ChatKey
from crm_messaging.messages.placing import placed_at
from crm_messaging.replicas import people
from crm_messaging.replicas import repository as replicas
from crm_messaging.replicas.models import ContactRef

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Report:
    """What was reported of a chat, and whose it is, where that is known."""

    event: Event[ChannelChatLabelled]
    contact: ContactRef | None

    @property
    def is_group(self) -> bool:
        """Whether it is a group's chat."""
        return self.event.data.person.identities[0].kind == "group"

    @property
    def rows(self) -> list[ChatLabel]:
        """It as rows, one for each id the chat is shown by."""
        data = self.event.data
        return [
            ChatLabel(
                tenant_id=self.event.tenant_id,
                kind=shown.kind,
                canonical=WhatsAppId(shown.kind, shown.value).canonical,
                channel_id=data.channel.id,
                label_id=data.label.id,
                labelled=data.labelled,
                # A time to come would hold against all that follows.
                changed_at=placed_at(data.told_at, datetime.now(UTC)),
            )
            for shown in data.person.identities
        ]

    @property
    def conversation_id(self) -> UUID:
        """Where it is talked, if it ever was."""
        data = self.event.data
        if self.contact is None or self.is_group:
            return conversation_id(data.channel.id, data.chat_id)
        return conversations.id_of(data.channel.id, self.contact, None)


async def on_label_changed(tx: Transaction, events: Sequence[Event[ChannelLabelChanged]]) -> None:
    """Copy what labels are called; those that were deleted are on no chat any more."""
    copies = {
        (event.tenant_id, event.data.channel.id, event.data.label.id): LabelRef(
            tenant_id=event.tenant_id,
            channel_id=event.data.channel.id,
            label_id=event.data.label.id,
            name=event.data.label.name,
            color=event.data.label.color,
            deleted=event.data.deleted,
            seq=event.body.aggregate_seq,
        )
        for event in sorted(events, key=attrgetter("body.aggregate_seq"))
    }
    await repository.LABELS.upsert(tx, [copies[key] for key in sorted(copies)], newest="seq")
    await repository.take_off(
        tx,
        {
            (event.tenant_id, event.data.channel.id, event.data.label.id, event.data.told_at)
            for event in events
            if event.data.deleted
        },
    )


async def on_chat_labelled(tx: Transaction, events: Sequence[Event[ChannelChatLabelled]]) -> None:
    """Note which labels chats have, and tell what is new of chats with somebody who is known."""
    await replicas.remember_channels(
        tx, {(e.tenant_id, e.data.channel.id): e.data.channel for e in events}
    )
    shown = await people.look_up(tx, [_sender(event) for event in events])
    # Whoever was erased since it was told is left out.
    reports = [_Report(e, found.contact) for e, found in zip(events, shown, strict=True) if found]
    if not reports:
        return
    await _name(tx, reports)
    new = {repository.key_of(row): row for report in reports for row in report.rows}
    never = {"labelled": False, "changed_at": _NEVER}
    known = await repository.lock(tx, [row.model_copy(update=never) for row in new.values()])
    beside = await _beside(tx, reports)
    talked = await conversations.existing(
        tx, {(report.event.tenant_id, report.conversation_id) for report in reports}
    )
    before = dict(known)
    for report in reports:
        others = beside.get(_whose(report), {})
        was_on = _is_on(report, known, others)
        for row in report.rows:
            key = repository.key_of(row)
            if row.changed_at >= known[key].changed_at:
                known[key] = row
        if _is_on(report, known, others) != was_on:
            _tell(tx, report, talked)
    changed = [row for key, row in known.items() if row is not before[key]]
    await repository.CHATS.update(tx, changed)


def _sender(event: Event[ChannelChatLabelled]) -> people.Sender:
    shown = tuple(WhatsAppId(i.kind, i.value) for i in event.data.person.identities)
    return people.Sender(event.tenant_id, shown, event.body.occurred_at)


async def _name(tx: Transaction, reports: Sequence[_Report]) -> None:
    """Learn labels from chats where nothing else told of them yet."""
    named = {
        (r.event.tenant_id, r.event.data.channel.id, r.event.data.label.id): r.event.data.label
        for r in reports
        if r.event.data.label.name
    }
    rows = [
        LabelRef(
            tenant_id=key[0],
            channel_id=key[1],
            label_id=key[2],
            name=named[key].name,
            color=named[key].color,
        )
        for key in sorted(named)
    ]
    await repository.LABELS.insert(tx, rows, unless="(tenant_id, channel_id, label_id)")


_Whose = tuple[str, UUID | None, UUID, str]


def _whose(report: _Report) -> _Whose:
    data = report.event.data
    contact_id = report.contact.contact_id if report.contact else None
    return report.event.tenant_id, contact_id, data.channel.id, data.label.id


async def _beside(
    tx: Transaction, reports: Sequence[_Report]
) -> Mapping[_Whose, Mapping[ChatKey, ChatLabel]]:
    """What is known of the labels on all chats of those who are known."""
    wanted = {
        (r.event.tenant_id, r.contact.contact_id, r.event.data.channel.id, r.event.data.label.id)
        for r in reports
        if r.contact
    }
    found: dict[_Whose, dict[ChatKey, ChatLabel]] = {}
    for contact_id, row in await repository.of_contacts(tx, wanted):
        whose = row.tenant_id, contact_id, row.channel_id, row.label_id
        found.setdefault(whose, {})[repository.key_of(row)] = row
    return found


def _is_on(
    report: _Report, known: Mapping[ChatKey, ChatLabel], others: Mapping[ChatKey, ChatLabel]
) -> bool:
    """Whether the contact's chats, or the group, have the label: by the newest word of any."""
    keys = {*others, *map(repository.key_of, report.rows)}
    rows = [known.get(key) or others[key] for key in keys]
    newest = max(row.changed_at for row in rows)
    return any(row.labelled for row in rows if row.changed_at == newest)


def _tell(tx: Transaction, report: _Report, talked: set[UUID]) -> None:
    data, contact, where = report.event.data, report.contact, report.conversation_id
    if where not in talked and (contact is None or contact.deleted):
        return
    told = (LabelAdded if data.labelled else LabelRemoved)(
        label=Label(id=data.label.id, name=data.label.name, color=data.label.color),
        conversation_id=where if where in talked else None,
        contact=replicas.summary(contact) if contact and not report.is_group else None,
        channel=ChannelSummary(id=data.channel.id, name=data.channel.name),
        changed_at=data.told_at,
    )
    tx.outbox.add(told, where, tenant_id=report.event.tenant_id, cause=report.event.cause)
