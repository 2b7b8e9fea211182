"""Keeping the replicas: the newest event of each aggregate wins, whatever order they come in."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from asyncpg import Record
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

from crm_messaging.replicas import people

_CONTACTS = """
INSERT INTO contact_refs (tenant_id, contact_id, name, phone, seq)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[])
ON CONFLICT (tenant_id, contact_id) DO UPDATE
SET name = excluded.name, phone = excluded.phone, seq = excluded.seq, deleted = false
WHERE contact_refs.seq < excluded.seq
"""
_CONTACT_DELETED = """
INSERT INTO contact_refs (tenant_id, contact_id, name, deleted, seq) VALUES ($1, $2, '', true, $3)
ON CONFLICT (tenant_id, contact_id) DO UPDATE SET deleted = true, seq = excluded.seq
WHERE contact_refs.seq < excluded.seq
"""
_CHANNEL = """
INSERT INTO channel_refs (tenant_id, channel_id, name, session_timeout_seconds, seq)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, channel_id) DO UPDATE
SET name = excluded.name, session_timeout_seconds = excluded.session_timeout_seconds,
    seq = excluded.seq, deleted = false
WHERE channel_refs.seq < excluded.seq
"""
_CHANNEL_DELETED = """
INSERT INTO channel_refs (tenant_id, channel_id, name, session_timeout_seconds, deleted, seq)
VALUES ($1, $2, '', 0, true, $3)
ON CONFLICT (tenant_id, channel_id) DO UPDATE SET deleted = true, seq = excluded.seq
WHERE channel_refs.seq < excluded.seq
"""
_AGENT = """
INSERT INTO agent_refs (tenant_id, agent_id, name, active, seq) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, agent_id) DO UPDATE
SET name = excluded.name, active = excluded.active, seq = excluded.seq
WHERE agent_refs.seq < excluded.seq
"""


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
            if contact.id in known and known[contact.id]["phone"] not in (None, contact.phone)
        },
    )
    ordered = [newest[contact_id] for contact_id in sorted(newest)]
    await tx.execute(
        _CONTACTS,
        tx.tenant_id,
        [contact.id for contact, _ in ordered],
        [contact.name for contact, _ in ordered],
        [contact.phone for contact, _ in ordered],
        [seq for _, seq in ordered],
    )


async def _known(tx: Transaction, contacts: Sequence[UUID]) -> dict[UUID, Record]:
    rows = await tx.fetch(
        "SELECT contact_id, phone, seq FROM contact_refs"
        " WHERE tenant_id = $1 AND contact_id = ANY($2::uuid[])",
        tx.tenant_id,
        list(contacts),
    )
    return {row["contact_id"]: row for row in rows}


def _seq(known: Mapping[UUID, Record], contact_id: UUID) -> int:
    return known[contact_id]["seq"] if contact_id in known else -1


async def on_contact_deleted(tx: Transaction, events: Sequence[Event[ContactDeleted]]) -> None:
    """Nothing more can be sent to it; what was said stays."""
    for event in events:
        await tx.execute(
            _CONTACT_DELETED, tx.tenant_id, event.data.contact_id, event.body.aggregate_seq
        )


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
        await tx.execute(
            _CHANNEL,
            tx.tenant_id,
            channel.id,
            channel.name,
            channel.session_timeout_seconds,
            event.body.aggregate_seq,
        )


async def on_channel_deleted(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
    """Nothing more can be sent through it."""
    for event in events:
        await tx.execute(
            _CHANNEL_DELETED, tx.tenant_id, event.data.channel_id, event.body.aggregate_seq
        )


async def on_agent_changed(
    tx: Transaction, events: Sequence[Event[AgentCreated] | Event[AgentUpdated]]
) -> None:
    """Copy who can be given sessions."""
    for event in events:
        agent = event.data.agent
        await tx.execute(
            _AGENT,
            tx.tenant_id,
            agent.id,
            agent.name,
            agent.active,
            event.body.aggregate_seq,
        )
