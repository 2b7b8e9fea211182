"""Keeping the replicas: the newest event of each aggregate wins, whatever order they come in."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.channels.channel import ChannelCreated, ChannelDeleted, ChannelUpdated
from shared_events.contacts.contact import (
    Contact,
    ContactCreated,
    ContactDeleted,
    ContactIdentityLinked,
    ContactUpdated,
)
from shared_events.gateway.agent import AgentCreated, AgentUpdated
from shared_events.identity import WhatsAppId

from crm_messaging.replicas import people, repository
from crm_messaging.replicas.models import AgentRef, ChannelRef, ContactRef


async def on_contact_changed(
    tx: Transaction, events: Sequence[Event[ContactCreated] | Event[ContactUpdated]]
) -> None:
    """Copy contacts and their identities.

    Identities first, as where messages arrive: both meet at the first message of a contact, and
    neither may wait for the other in a circle.
    """
    known = await _known(tx, [event.data.contact.id for event in events])
    newest: dict[UUID, tuple[Contact, int]] = {}
    for event in events:
        contact, seq = event.data.contact, event.body.aggregate_seq
        _, applied = newest.get(contact.id, (None, _seq(known, contact.id)))
        if seq > applied:
            newest[contact.id] = contact, seq
    if not newest:
        return
    await people.link(
        tx,
        {
            WhatsAppId(identity.kind, identity.value): contact.id
            for contact, _ in newest.values()
            for identity in contact.identities
        },
    )
    await people.take_off(
        tx,
        {
            contact.id: contact.phone
            for contact, _ in newest.values()
            if contact.id in known and known[contact.id].phone not in (None, contact.phone)
        },
    )
    await repository.CONTACTS.upsert(
        tx,
        [
            ContactRef(
                tenant_id=tx.tenant_id,
                contact_id=contact.id,
                name=contact.name,
                phone=contact.phone,
                seq=seq,
                deleted=False,
            )
            for contact, seq in newest.values()
        ],
        newest="seq",
    )


async def _known(tx: Transaction, contacts: Sequence[UUID]) -> dict[UUID, ContactRef]:
    rows = await repository.CONTACTS.find(
        tx,
        "SELECT * FROM contact_refs WHERE tenant_id = $1 AND contact_id = ANY($2::uuid[])",
        tx.tenant_id,
        list(contacts),
    )
    return {row.contact_id: row for row in rows}


def _seq(known: Mapping[UUID, ContactRef], contact_id: UUID) -> int:
    return known[contact_id].seq if contact_id in known else -1


async def on_contact_deleted(tx: Transaction, events: Sequence[Event[ContactDeleted]]) -> None:
    """Nobody can write to them any more; what was said stays readable."""
    for event in events:
        gone = ContactRef(
            tenant_id=tx.tenant_id,
            contact_id=event.data.contact_id,
            name="",
            deleted=True,
            seq=event.body.aggregate_seq,
        )
        await repository.CONTACTS.upsert(tx, [gone], "deleted", "seq", newest="seq")


async def on_identity_linked(
    tx: Transaction, events: Sequence[Event[ContactIdentityLinked]]
) -> None:
    """From now on messages of this identity belong to this contact."""
    await people.link(
        tx,
        {
            WhatsAppId(event.data.identity.kind, event.data.identity.value): event.data.contact_id
            for event in events
        },
    )


async def on_channel_changed(
    tx: Transaction, events: Sequence[Event[ChannelCreated] | Event[ChannelUpdated]]
) -> None:
    """Copy a channel's name and timeout."""
    for event in events:
        channel = event.data.channel
        copy = ChannelRef(
            tenant_id=tx.tenant_id,
            channel_id=channel.id,
            name=channel.name,
            session_timeout_seconds=channel.session_timeout_seconds,
            deleted=False,
            seq=event.body.aggregate_seq,
        )
        await repository.CHANNELS.upsert(tx, [copy], newest="seq")


async def on_channel_deleted(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
    """Nothing more can be sent through it."""
    for event in events:
        gone = ChannelRef(
            tenant_id=tx.tenant_id,
            channel_id=event.data.channel_id,
            name="",
            session_timeout_seconds=0,
            deleted=True,
            seq=event.body.aggregate_seq,
        )
        await repository.CHANNELS.upsert(tx, [gone], "deleted", "seq", newest="seq")


async def on_agent_changed(
    tx: Transaction, events: Sequence[Event[AgentCreated] | Event[AgentUpdated]]
) -> None:
    """Copy who can be given sessions."""
    for event in events:
        agent = event.data.agent
        copy = AgentRef(
            tenant_id=tx.tenant_id,
            agent_id=agent.id,
            name=agent.name,
            active=agent.active,
            seq=event.body.aggregate_seq,
        )
        await repository.AGENTS.upsert(tx, [copy], newest="seq")
