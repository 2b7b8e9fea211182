"""Raw WAHA events in, domain events out: a batch of many companies in one transaction.

Locks are taken in one order everywhere: hidden ids, then labels, then the ledger, then channels,
then what they heard; each by company and key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from uuid import UUID

import structlog
from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.incoming import Incoming
from shared_events.channels.traffic import ChannelMessageReceived, Person
from shared_events.contacts.contact import Identity
from shared_events.envelope import EventData
from shared_events.identity import WhatsAppId, chats_of, conversation_id
from shared_events.messaging.message import ChangeKind

from crm_channels_waha import metrics
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import ChannelKey
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.groups import noting as groups
from crm_channels_waha.hearing import repository as hearing
from crm_channels_waha.hearing.noting import note
from crm_channels_waha.inbound import repository
from crm_channels_waha.inbound.events import WahaEvent
from crm_channels_waha.inbound.models import RawEvent
from crm_channels_waha.inbound.repository import LidKey, LidSeen
from crm_channels_waha.labels import noting as labels
from crm_channels_waha.media import repository as media
from crm_channels_waha.media.arriving import row_of as file_of
from crm_channels_waha.media.arriving import with_file
from crm_channels_waha.media.models import MediaRow
from crm_channels_waha.outbound import changes
from crm_channels_waha.outbound.changes import ChangeSeen
from crm_channels_waha.outbound.echoes import Echo, Said, confirm
from crm_channels_waha.profile_pictures import repository as pictures
from crm_channels_waha.profile_pictures.repository import Writer
from crm_channels_waha.waha.meaning import (
    Called,
    Edited,
    GroupSeen,
    Heard,
    Kept,
    Labelled,
    LabelTold,
    Listener,
    Reacted,
    Receipt,
    Restriction,
    Revocation,
    SessionReport,
    Translation,
    Voted,
)
from crm_channels_waha.waha.reading import UnreadableError, read_object
from crm_channels_waha.waha.translate import KNOWN_EVENTS, translate

log = structlog.get_logger()

_Report = tuple[ChannelKey, SessionReport | Restriction, Cause]


@dataclass(frozen=True, slots=True)
class Understood:
    """What a raw event means, and whose it is."""

    incoming: Incoming[WahaEvent]
    meaning: Translation

    @property
    def tenant_id(self) -> str:
        """Whose it is."""
        return self.incoming.tenant_id

    @property
    def channel_id(self) -> UUID:
        """The channel that heard it."""
        return self.incoming.body.channel_id


@dataclass(frozen=True, slots=True)
class RawOutcome:
    """Why an event is kept raw."""

    outcome: str
    reason: str


class WahaInbox:
    """Applies raw events. Whose they are goes wherever they go: into every look-up and row."""

    def __init__(self, status: StatusBook, picture_days: int, group_days: int) -> None:
        """Who writes, and where, is looked at anew after so many days; 0: never."""
        self._status = status
        self._picture_days = picture_days
        self._group_days = group_days

    async def on_events(self, tx: Transaction, events: Sequence[Incoming[WahaEvent]]) -> None:
        """Translate a run of events; what becomes no domain event is kept raw."""
        hearers = await hearing.hearers(tx, {_channel(e) for e in events})
        rows = {channel: hearer.channel for channel, hearer in hearers.items()}
        listeners = {channel: listener_of(row) for channel, row in rows.items()}
        understood: list[Understood] = []
        kept: list[RawEvent] = []
        for incoming in events:
            outcome = _understand(incoming.body, listeners.get(_channel(incoming)))
            if isinstance(outcome, RawOutcome):
                kept.append(_raw_event(incoming, outcome))
                _count(incoming.body.event, outcome.outcome)
            else:
                understood.append(Understood(incoming, outcome))
                _count(incoming.body.event, "handled")
        await repository.keep(tx, kept)
        reports = await self._apply(tx, understood, rows)
        await note(tx, hearers, [(_channel(one.incoming), one.meaning) for one in understood])
        await self._report(tx, reports)

    async def replay(
        self, tx: Transaction, channel: ChannelRow, events: Sequence[Incoming[WahaEvent]]
    ) -> list[RawOutcome | None]:
        """Read events of a channel anew, as if they came now; what became of each.

        None for one that became a domain event. Whatever was told of it before is not doubled:
        messages are known by their ids, receipts only rise, states go by WAHA's time.
        """
        listener = listener_of(channel)
        outcomes = [_understand(incoming.body, listener) for incoming in events]
        understood = [
            Understood(incoming, outcome)
            for incoming, outcome in zip(events, outcomes, strict=True)
            if not isinstance(outcome, RawOutcome)
        ]
        reports = await self._apply(tx, understood, {(channel.tenant_id, channel.id): channel})
        await self._report(tx, reports)
        return [outcome if isinstance(outcome, RawOutcome) else None for outcome in outcomes]

    async def _apply(
        self,
        tx: Transaction,
        understood: Sequence[Understood],
        rows: Mapping[ChannelKey, ChannelRow],
    ) -> list[_Report]:
        """Tell what happened; returns what is said of sessions and accounts, to be applied."""
        understood = await recognise(tx, understood)
        shown = [(_channel(one.incoming), one.meaning, one.incoming.cause) for one in understood]
        known = await labels.note(tx, shown, {channel: row.name for channel, row in rows.items()})
        ours = await confirm(tx, [e for one in understood if (e := echo_of(one))])
        asked_for = await changes.confirm(
            tx, [c for n, one in enumerate(understood) if (c := change_seen(n, one))]
        )
        files: list[MediaRow] = []
        writers: list[Writer] = []
        reports: list[_Report] = []
        for place, one in enumerate(understood):
            if place in asked_for:
                continue
            match one.meaning:
                case Receipt(restriction=Restriction() as restriction):
                    reports.append((_channel(one.incoming), restriction, one.incoming.cause))
            match one.meaning:
                case Heard(message):
                    if (one.tenant_id, one.channel_id, message.external_id) not in ours:
                        message = with_file(message)
                        _tell(tx, one, message, message.chat_id)
                        server_url = rows[_channel(one.incoming)].waha_base_url
                        if file := file_of(message, one.tenant_id, server_url, one.incoming.cause):
                            files.append(file)
                        if chat_id := _shown_with_a_picture(message):
                            writers.append((one.tenant_id, chat_id, one.channel_id))
                case SessionReport() as report:
                    reports.append((_channel(one.incoming), report, one.incoming.cause))
                case Labelled(report, chat_id):
                    label = known[(*_channel(one.incoming), report.label.id)]
                    _tell(tx, one, report.model_copy(update={"label": label}), chat_id)
                case LabelTold() | Kept():
                    pass  # noted above; kept before it came here
                case told:
                    _tell(tx, one, told.report, told.chat_id)
        await media.enter(tx, files)
        if self._picture_days:
            await pictures.enter(tx, writers, fresh_days=self._picture_days)
        said = [(_channel(one.incoming), one.meaning) for one in understood]
        await groups.note(tx, said, fresh_days=self._group_days)
        return reports

    async def _report(self, tx: Transaction, reports: Sequence[_Report]) -> None:
        for channel, report, cause in sorted(reports, key=itemgetter(0)):
            if isinstance(report, Restriction):
                await self._status.restricted(tx, channel, report, cause)
            else:
                await self._status.report(tx, channel, report, cause)


async def recognise(tx: Transaction, understood: Sequence[Understood]) -> list[Understood]:
    """Remember who hides behind which LID, and add the phones known of those unnamed."""
    seen: list[LidSeen] = []
    for one in understood:
        # Nobody asks WAHA for the phone of somebody who is merely in a group.
        wanted = not isinstance(one.meaning, GroupSeen)
        for person in _people(one.meaning):
            by_kind = {i.kind: i.value for i in person.identities}
            if lid := by_kind.get("lid"):
                phone = by_kind.get("phone")
                seen.append(LidSeen(one.tenant_id, lid, phone, one.channel_id, wanted))
    phones = await repository.learn_lids(tx, seen)
    return [_strengthened(one, phones) for one in understood]


def _understand(event: WahaEvent, listener: Listener | None) -> Translation | RawOutcome:
    if listener is None:
        return RawOutcome("unhandled", "unknown channel")
    try:
        meaning = translate(read_object(event.raw), listener, event.received_at)
    except UnreadableError as error:
        return RawOutcome("unreadable", str(error))
    except Exception as error:
        # A shape nobody foresaw must not hold up the others; the bytes are kept.
        log.exception("waha_event_unreadable", waha_event=event.event)
        return RawOutcome("unreadable", type(error).__name__)
    return RawOutcome(meaning.outcome, meaning.reason) if isinstance(meaning, Kept) else meaning


def _channel(incoming: Incoming[WahaEvent]) -> ChannelKey:
    return incoming.tenant_id, incoming.body.channel_id


def _tell(tx: Transaction, one: Understood, data: EventData, chat_id: str) -> None:
    """Say what was understood, in its place among the chat's events."""
    tx.outbox.add(
        data,
        conversation_id(one.channel_id, chat_id),
        tenant_id=one.tenant_id,
        cause=one.incoming.cause,
    )


def listener_of(row: ChannelRow) -> Listener:
    """What translating needs to know of a channel."""
    return Listener(
        row.id,
        row.name,
        row.session_timeout_seconds,
        row.allow_groups,
        row.waha_base_url,
        row.waha_session,
    )


def _raw_event(incoming: Incoming[WahaEvent], raw: RawOutcome) -> RawEvent:
    event = incoming.body
    return RawEvent.model_construct(
        id=incoming.id,
        tenant_id=incoming.tenant_id,
        channel_id=event.channel_id,
        event=event.event.replace("\0", "")[:100],
        outcome=raw.outcome,
        reason=raw.reason,
        body=event.raw,
        received_at=event.received_at,
    )


def _count(event: str, outcome: str) -> None:
    metrics.WAHA_EVENTS.labels(event if event in KNOWN_EVENTS else "other", outcome).inc()


def _people(meaning: Translation) -> list[Person]:
    """Whom an event shows."""
    match meaning:
        case Heard(message):
            return [message.person]
        case Edited(report, _) | Reacted(report, _) | Voted(report, _):
            return [report.person]
        case Called(report, _) | Labelled(report, _):
            return [report.person]
        case GroupSeen(group, _):
            return [member.person for member in group.members]
    return []


def _shown_with_a_picture(message: ChannelMessageReceived) -> str | None:
    """The chat of the person a message shows; None where it shows a group, or ourselves in one."""
    shown = message.person.identities[0]
    if shown.kind == "group" or (message.is_group and message.direction == "outbound"):
        return None
    return WhatsAppId(shown.kind, shown.value).chat_id


def _strengthened(one: Understood, phones: Mapping[LidKey, str]) -> Understood:
    """What was said with the phones of people seen by hidden id alone, where they are known."""
    people = _people(one.meaning)
    named = [_named(person, one.tenant_id, phones) for person in people]
    if named == people:
        return one
    shown = {"person": named[0]}
    match one.meaning:
        case Heard(message):
            return replace(one, meaning=Heard(message.model_copy(update=shown)))
        case Edited(edit, chat_id):
            return replace(one, meaning=Edited(edit.model_copy(update=shown), chat_id))
        case Reacted(reaction, chat_id):
            return replace(one, meaning=Reacted(reaction.model_copy(update=shown), chat_id))
        case Voted(vote, chat_id):
            return replace(one, meaning=Voted(vote.model_copy(update=shown), chat_id))
        case Called(call, chat_id):
            return replace(one, meaning=Called(call.model_copy(update=shown), chat_id))
        case Labelled(labelled, chat_id):
            return replace(one, meaning=Labelled(labelled.model_copy(update=shown), chat_id))
        case GroupSeen(group, chat_id):
            members = [
                member.model_copy(update={"person": person})
                for member, person in zip(group.members, named, strict=True)
            ]
            seen = GroupSeen(group.model_copy(update={"members": members}), chat_id)
            return replace(one, meaning=seen)
    return one


def _named(person: Person, tenant_id: str, phones: Mapping[LidKey, str]) -> Person:
    first = person.identities[0]
    phone = phones.get((tenant_id, first.value)) if first.kind == "lid" else None
    if phone is None:
        return person
    identities = [Identity(kind="phone", value=phone), *person.identities]
    return person.model_copy(update={"identities": identities})


def echo_of(one: Understood) -> Echo | None:
    """What an event proves of a message of ours: that WhatsApp has it."""
    cause = one.incoming.cause
    match one.meaning:
        case Heard(message) if message.direction == "outbound":
            people = [] if message.is_group else message.person.identities
            # Sent to a phone, it may come back under the hidden id, or the other way round,
            # and a Brazilian number with its ninth digit or without.
            known = [WhatsAppId(p.kind, p.value) for p in people]
            chats = {message.chat_id, *(chat for who in known for chat in chats_of(who))}
            said = Said(tuple(chats), message.content_type, message.content)
            return Echo(
                one.tenant_id,
                one.channel_id,
                message.external_id,
                message.sent_at,
                cause,
                said if message.origin == "api" else None,
            )
        case Receipt(report, _) if report.from_us and report.status not in ("pending", "failed"):
            return Echo(
                one.tenant_id, one.channel_id, report.external_id, report.occurred_at, cause
            )
    return None


def change_seen(place: int, one: Understood) -> ChangeSeen | None:
    """What an event tells of our own number's doing to a message: perhaps we asked for it."""
    kind: ChangeKind
    match one.meaning:
        case Edited(edit, _) if edit.from_us:
            kind, external_id, content = "edit", edit.external_id, edit.content
        case Reacted(reaction, _) if reaction.from_us:
            kind, external_id, content = "reaction", reaction.external_id, reaction.emoji
        case Revocation(revocation, _):
            kind, external_id, content = "revoke", revocation.external_id, ""
        case _:
            return None
    return ChangeSeen(place, one.tenant_id, one.channel_id, external_id, kind, content)
