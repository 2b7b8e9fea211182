"""What contacts tells of people, and of those who are one."""

from collections.abc import Sequence

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.contacts.contact import ContactCreated, ContactIdentityLinked, ContactUpdated
from shared_events.contacts.merge import ContactMerged, ContactUnmerged
from shared_events.identity import WhatsAppId, display_name

from crm_messaging.merging import ghosts, parting, service
from crm_messaging.merging.ghosts import Adoption
from crm_messaging.merging.service import Merge
from crm_messaging.replicas import consumers as replicas
from crm_messaging.replicas.models import ContactRef
from crm_messaging.replicas.repository import copy


async def on_contact_changed(
    tx: Transaction, events: Sequence[Event[ContactCreated] | Event[ContactUpdated]]
) -> None:
    """Copy contacts and their identities, with what was said with whoever we made of those."""
    await replicas.on_contact_changed(tx, events)
    await ghosts.adopt(
        tx,
        [
            Adoption(
                copy(event.tenant_id, event.data.contact, event.body.aggregate_seq),
                identity,
                event.body.aggregate_seq,
                event.cause,
            )
            for event in events
            for identity in event.data.contact.identities
        ],
    )


async def on_identity_linked(
    tx: Transaction, events: Sequence[Event[ContactIdentityLinked]]
) -> None:
    """Messages of this identity belong to this contact, those of before as well."""
    await replicas.on_identity_linked(tx, events)
    await ghosts.adopt(
        tx,
        [
            Adoption(_stranger(event), event.data.identity, event.body.aggregate_seq, event.cause)
            for event in events
        ],
    )


def _stranger(event: Event[ContactIdentityLinked]) -> ContactRef:
    """A contact of whom we may have been told nothing else yet."""
    shown = WhatsAppId(event.data.identity.kind, event.data.identity.value)
    return ContactRef(
        tenant_id=event.tenant_id,
        contact_id=event.data.contact_id,
        name=display_name(None, shown.phone),
        phone=shown.phone,
    )


async def on_contact_merged(tx: Transaction, events: Sequence[Event[ContactMerged]]) -> None:
    """What the losers have is their winners', in the order it was told."""
    await service.follow(tx, [_merge(event) for event in events])


async def on_contact_unmerged(tx: Transaction, events: Sequence[Event[ContactUnmerged]]) -> None:
    """What had been the losers' is theirs again: one after the other, for people ask for each."""
    for event in events:
        seq, data = event.body.aggregate_seq, event.data
        await parting.part(
            tx,
            winner=copy(event.tenant_id, data.winner, seq),
            loser=copy(event.tenant_id, data.loser, seq),
            identities=data.identities,
            merged_at=data.merged_at,
        )


def _merge(event: Event[ContactMerged]) -> Merge:
    seq, data = event.body.aggregate_seq, event.data
    loser = copy(event.tenant_id, data.loser, seq)
    gone = {"deleted": True, "merged_into": data.winner.id}
    return Merge(
        winner=copy(event.tenant_id, data.winner, seq),
        loser=loser.model_copy(update=gone),
        identities=data.identities,
        cause=event.cause,
    )
