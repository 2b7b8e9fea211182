"""Keeping the replica of opt-outs: the newest event of each wins, whatever order they come in."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.rows import Rows
from shared_events.contacts.opt_out import Channel, ContactOptedIn, ContactOptedOut

from crm_messaging.consent.models import EVERYWHERE, OptOutRef

_REFS = Rows(OptOutRef)


async def on_opted_out(tx: Transaction, events: Sequence[Event[ContactOptedOut]]) -> None:
    """From now on the contact is sent nothing there."""
    told = ((e, e.data.opt_out.contact_id, e.data.opt_out.channel_id) for e in events)
    await _save(tx, [_ref(*one, is_out=True) for one in told])


async def on_opted_in(tx: Transaction, events: Sequence[Event[ContactOptedIn]]) -> None:
    """The contact may be written to there again."""
    told = ((e, e.data.contact_id, e.data.channel_id) for e in events)
    await _save(tx, [_ref(*one, is_out=False) for one in told])


def _ref(
    event: Event[ContactOptedOut] | Event[ContactOptedIn],
    contact_id: UUID,
    channel: Channel,
    *,
    is_out: bool,
) -> OptOutRef:
    return OptOutRef(
        tenant_id=event.tenant_id,
        contact_id=contact_id,
        channel_id=EVERYWHERE if channel == "all" else channel,
        is_out=is_out,
        seq=event.body.aggregate_seq,
    )


async def _save(tx: Transaction, refs: Iterable[OptOutRef]) -> None:
    ordered = sorted(refs, key=lambda ref: ref.seq)
    newest = {(ref.tenant_id, ref.contact_id, ref.channel_id): ref for ref in ordered}
    await _REFS.upsert(tx, newest.values(), newest="seq")
