"""Keeping the replicas: the newest event of each aggregate wins, whatever order they come in."""

from collections.abc import Sequence

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.channels.channel import (
    ChannelCreated,
    ChannelDeleted,
    ChannelStatusChanged,
    ChannelUpdated,
)
from shared_events.contacts.contact import (
    Contact,
    ContactCreated,
    ContactDeleted,
    ContactIdentity,
    ContactIdentityLinked,
    ContactIdentityReleased,
    ContactUpdated,
    Identity,
)
from shared_events.gateway.agent import AgentCreated, AgentUpdated
from shared_events.gateway.company import SettingsUpdated

from crm_messaging.replicas import people, repository
from crm_messaging.replicas.models import AgentRef, ChannelRef, CompanyRef, ContactRef
from crm_messaging.replicas.repository import ContactKey


async def on_contact_changed(
    tx: Transaction, events: Sequence[Event[ContactCreated] | Event[ContactUpdated]]
) -> None:
    """Copy contacts and their identities.

    Identities first, as where messages arrive: both meet at the first message of a contact, and
    neither may wait for the other in a circle.
    """
    known = await repository.known_contacts(tx, [(e.tenant_id, e.data.contact.id) for e in events])
    newest: dict[ContactKey, tuple[Contact, int]] = {}
    for event in events:
        key, seq = (event.tenant_id, event.data.contact.id), event.body.aggregate_seq
        _, applied = newest.get(key, (None, known[key].seq if key in known else -1))
        if seq > applied:
            newest[key] = event.data.contact, seq
    if not newest:
        return
    await people.link(
        tx,
        [
            (tenant_id, _typed(identity), contact.id)
            for (tenant_id, _), (contact, _) in newest.items()
            for identity in contact.identities
        ],
    )
    await people.take_off(
        tx,
        {
            key: contact.phone
            for key, (contact, _) in newest.items()
            if key in known and known[key].phone not in (None, contact.phone)
        },
    )
    copies = [repository.copy(key[0], *told) for key, told in newest.items()]
    await repository.CONTACTS.upsert(tx, copies, newest="seq")


def _typed(identity: Identity) -> ContactIdentity:
    """An identity of which contacts says whose it is; messages, which come here too, prove it."""
    return ContactIdentity(kind=identity.kind, value=identity.value, proved=False)


async def on_contact_deleted(tx: Transaction, events: Sequence[Event[ContactDeleted]]) -> None:
    """Nobody can write to them any more; what was said stays readable."""
    gone = {
        (event.tenant_id, event.data.contact_id): ContactRef(
            tenant_id=event.tenant_id,
            contact_id=event.data.contact_id,
            name="",
            deleted=True,
            seq=event.body.aggregate_seq,
        )
        for event in events
    }
    await repository.CONTACTS.upsert(tx, gone.values(), "deleted", "seq", newest="seq")


async def on_identity_linked(
    tx: Transaction, events: Sequence[Event[ContactIdentityLinked]]
) -> None:
    """From now on messages of this identity belong to this contact."""
    await people.link(tx, [(e.tenant_id, e.data.identity, e.data.contact_id) for e in events])


async def on_identity_released(
    tx: Transaction, events: Sequence[Event[ContactIdentityReleased]]
) -> None:
    """It was mistyped: its messages are those of somebody who is no contact yet."""
    await people.link(tx, [(e.tenant_id, e.data.identity, e.data.next_contact_id) for e in events])


async def on_channel_changed(
    tx: Transaction,
    events: Sequence[Event[ChannelCreated] | Event[ChannelUpdated] | Event[ChannelStatusChanged]],
) -> None:
    """Copy of a channel what sending and sessions go by."""
    for event in events:
        channel = event.data.channel
        copy = ChannelRef(
            tenant_id=event.tenant_id,
            channel_id=channel.id,
            name=channel.name,
            session_timeout_seconds=channel.session_timeout_seconds,
            status=channel.status,
            allow_groups=channel.allow_groups,
            deleted=False,
            seq=event.body.aggregate_seq,
        )
        await repository.CHANNELS.upsert(tx, [copy], newest="seq")


async def on_channel_deleted(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
    """Nothing more can be sent through it."""
    for event in events:
        gone = ChannelRef(
            tenant_id=event.tenant_id,
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
    """Copy who can be given sessions, and wake who gives and takes them."""
    for event in events:
        agent = event.data.agent
        copy = AgentRef(
            tenant_id=event.tenant_id,
            agent_id=agent.id,
            name=agent.name,
            role=agent.role,
            active=agent.active,
            seq=event.body.aggregate_seq,
        )
        await repository.AGENTS.upsert(tx, [copy], newest="seq")
    await tx.execute("SELECT pg_notify($1, '')", repository.ASSIGN)


async def on_settings_updated(tx: Transaction, events: Sequence[Event[SettingsUpdated]]) -> None:
    """Copy how sessions come to agents, and wake who sees to it."""
    for event in events:
        settings = event.data.settings
        copy = CompanyRef(
            tenant_id=event.tenant_id,
            auto_assignment=settings.auto_assignment,
            sessions_per_agent=settings.sessions_per_agent,
            seq=event.body.aggregate_seq,
        )
        names = ("auto_assignment", "sessions_per_agent", "seq")
        await repository.COMPANIES.upsert(tx, [copy], *names, newest="seq")
    await repository.wake_assigner(tx, [event.tenant_id for event in events])
