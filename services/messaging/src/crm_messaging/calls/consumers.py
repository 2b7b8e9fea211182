"""What channels tell of calls.

Who calls becomes a contact as who writes does, and is in the timeline; the call itself opens
neither a conversation nor a session, for nothing was said that could be answered there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from uuid import UUID

from service_kit.database import Transaction
from service_kit.ids import uuid7
from service_kit.incoming import Event
from service_kit.rows import Rows
from service_kit.text import without_nul
from shared_events.channels.traffic import ChannelCallReported
from shared_events.identity import WhatsAppId
from shared_events.messaging.call import (
    Call,
    CallAccepted,
    CallEvent,
    CallReceived,
    CallRejected,
    CallStatus,
)
from shared_events.messaging.summaries import ChannelSummary

from crm_messaging.calls.models import CallRow
from crm_messaging.calls.steps import advance, is_next
from crm_messaging.conversations import repository as conversations
from crm_messaging.replicas import people
from crm_messaging.replicas import repository as replicas
from crm_messaging.replicas.models import ContactRef

CALLS = Rows(CallRow)
_TELLING: dict[CallStatus, type[CallEvent]] = {
    "received": CallReceived,
    "accepted": CallAccepted,
    "rejected": CallRejected,
}
_LOCK = """
SELECT c.* FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[])
    AS k(tenant_id, channel_id, external_id) ORDER BY 1, 2, 3) AS k
CROSS JOIN LATERAL (SELECT * FROM calls WHERE tenant_id = k.tenant_id
    AND channel_id = k.channel_id AND external_id = k.external_id LIMIT 1 FOR UPDATE) AS c
"""
_KNOWN = "(tenant_id, channel_id, external_id)"

CallKey = tuple[str, UUID, str]
"""Tenant, channel and WhatsApp's id of the call."""


@dataclass(frozen=True, slots=True)
class _Report:
    """What was reported of a call, and whose it is."""

    event: Event[ChannelCallReported]
    caller: ContactRef

    @property
    def key(self) -> CallKey:
        """What names the call, whoever tells of it."""
        data = self.event.data
        return self.event.tenant_id, data.channel.id, without_nul(data.call_id)

    @property
    def conversation_id(self) -> UUID:
        """Where its caller writes, if they ever did."""
        return conversations.id_of(self.event.data.channel.id, self.caller, None)


async def on_call_reported(tx: Transaction, events: Sequence[Event[ChannelCallReported]]) -> None:
    """Note how far calls got, and tell each step once, in their order."""
    await replicas.remember_channels(
        tx, {(e.tenant_id, e.data.channel.id): e.data.channel for e in events}
    )
    callers = await people.resolve(tx, [_sender(event) for event in events])
    # Nobody is the caller who was erased since.
    reports = [_Report(e, who) for e, who in zip(events, callers, strict=True) if who]
    if not reports:
        return
    calls = await _locked(tx, reports)
    talked = await conversations.existing(
        tx, {(report.event.tenant_id, report.conversation_id) for report in reports}
    )
    for report in reports:
        data, before = report.event.data, calls[report.key]
        call = advance(before, data.status, data.happened_at)
        if call is before:
            continue
        calls[report.key] = call
        if is_next(call, data.status):
            where = report.conversation_id if report.conversation_id in talked else None
            _tell(tx, report, call.model_copy(update={"conversation_id": where}))
    await CALLS.update(tx, [_row(key[0], call) for key, call in calls.items()])


def _sender(event: Event[ChannelCallReported]) -> people.Sender:
    person = event.data.person
    shown = tuple(WhatsAppId(i.kind, i.value) for i in person.identities)
    return people.Sender(event.tenant_id, shown, event.body.occurred_at, person.push_name)


async def _locked(tx: Transaction, reports: Sequence[_Report]) -> dict[CallKey, Call]:
    """The calls reported, those not known yet among them, nobody else changing them."""
    new = {report.key: _row(report.key[0], _new(report)) for report in reports}
    rows = [row for _, row in sorted(new.items(), key=itemgetter(0))]
    await CALLS.insert(tx, rows, unless=_KNOWN)
    tenants, channels, external_ids = map(list, zip(*sorted(new), strict=True))
    return {
        (row.tenant_id, row.channel_id, row.external_id): Call.model_validate(row.model_dump())
        for row in await CALLS.find(tx, _LOCK, tenants, channels, external_ids)
    }


def _new(report: _Report) -> Call:
    data = report.event.data
    return Call(
        id=uuid7(),
        channel_id=data.channel.id,
        contact_id=report.caller.contact_id,
        external_id=report.key[2],
        status="received",
        is_video=data.is_video,
    )


def _row(tenant_id: str, call: Call) -> CallRow:
    return CallRow.model_construct(
        tenant_id=tenant_id, **call.model_dump(exclude={"conversation_id"})
    )


def _tell(tx: Transaction, report: _Report, call: Call) -> None:
    data = report.event.data
    told = _TELLING[data.status](
        call=call.model_copy(update={"contact_id": report.caller.contact_id}),
        contact=replicas.summary(report.caller),
        channel=ChannelSummary(id=data.channel.id, name=data.channel.name),
    )
    cause, tenant_id = report.event.cause, report.event.tenant_id
    tx.outbox.add(told, call.id, tenant_id=tenant_id, cause=cause)
