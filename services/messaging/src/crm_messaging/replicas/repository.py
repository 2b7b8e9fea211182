"""Reading the replicas. They lag behind their owner by milliseconds: what is missing may come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import cast
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import ConflictError, NotFoundError
from service_kit.rows import Rows, Shape
from service_kit.search import searchable
from shared_events.channels.traffic import TrafficChannel
from shared_events.contacts.contact import Contact
from shared_events.identity import IdentityKind, WhatsAppId
from shared_events.messaging.summaries import ChannelSummary, ContactSummary

from crm_messaging.replicas.models import (
    AgentRef,
    ChannelRef,
    CompanyRef,
    ContactRef,
    IdentityRef,
)

CONTACTS = Rows(ContactRef)
IDENTITIES = Rows(IdentityRef)
CHANNELS = Rows(ChannelRef)
AGENTS = Rows(AgentRef)
COMPANIES = Rows(CompanyRef)

ASSIGN = "messaging_assign"
"""NOTIFY channel: somebody may have to be given a session, or to have it taken."""

ContactKey = tuple[str, UUID]
"""Tenant and contact."""


def copy(tenant_id: str, contact: Contact, seq: int) -> ContactRef:
    """A contact as it is kept; `seq` is that of the event that told of it."""
    return ContactRef.model_construct(  # a bulk tells of thousands
        tenant_id=tenant_id,
        contact_id=contact.id,
        name=contact.name,
        phone=contact.phone,
        profile_picture_url=contact.profile_picture_url,
        search_text=searchable(contact.name, contact.phone),
        seq=seq,
        deleted=False,
    )


def summary(row: ContactRef) -> ContactSummary:
    """A contact as messages show it."""
    return ContactSummary(id=row.contact_id, name=row.name, phone=row.phone)


async def known_contact(tx: Transaction, contact_id: UUID) -> ContactRef:
    """A contact whose messages can be read, deleted ones included; else NotFoundError.

    ConflictError `contact_merged` for one that is another by now.
    """
    row = await CONTACTS.first(
        tx,
        "SELECT * FROM contact_refs WHERE contact_id = $1 AND tenant_id = $2",
        contact_id,
        tx.tenant_id,
    )
    if row is None:
        raise NotFoundError("contact", may_come=True)
    if row.merged_into is not None:
        raise ConflictError(
            "contact_merged",
            "The contact was merged into another one.",
            merged_into=str(row.merged_into),
        )
    return row


@dataclass(frozen=True, slots=True)
class KnownChannel:
    """A channel to write through and the timeout, in seconds, of its conversations.

    `online`: messages go out now, as far as is known. `allow_groups`: unless told otherwise.
    """

    summary: ChannelSummary
    session_timeout_seconds: int
    online: bool
    allow_groups: bool


async def get_channel(tx: Transaction, channel_id: UUID) -> KnownChannel:
    """A channel; NotFoundError when missing or deleted."""
    row = await CHANNELS.first(
        tx,
        "SELECT * FROM channel_refs WHERE channel_id = $1 AND tenant_id = $2",
        channel_id,
        tx.tenant_id,
    )
    if row is None or row.deleted:
        raise NotFoundError("channel", may_come=row is None)
    return KnownChannel(
        ChannelSummary(id=row.channel_id, name=row.name),
        row.session_timeout_seconds,
        row.status in (None, "connected"),
        row.allow_groups is not False,
    )


async def is_active_agent(tx: Transaction, agent_id: UUID) -> bool | None:
    """Whether sessions can be given to this agent; None for one nobody has told of yet.

    It stays so until the commit: whoever learns of a deactivation waits for what was given before.
    """
    active: bool | None = await tx.fetchval(
        "SELECT active FROM agent_refs WHERE agent_id = $1 AND tenant_id = $2 FOR SHARE",
        agent_id,
        tx.tenant_id,
    )
    return active


# Nobody is woken for a company that has nothing come by itself.
_WAKE = f"""
SELECT pg_notify('{ASSIGN}', '') FROM unnest($1::text[]) AS k(tenant_id)
CROSS JOIN LATERAL (SELECT tenant_id FROM company_refs
    WHERE tenant_id = k.tenant_id AND auto_assignment <> 'off' LIMIT 1) AS c LIMIT 1
"""  # noqa: S608 - our own text


async def wake_assigner(tx: Transaction, tenant_ids: Iterable[str]) -> None:
    """With the commit, let sessions come to agents of these companies, where they do so by
    themselves: one is nobody's now, or somebody has fewer."""
    await tx.execute(_WAKE, sorted(set(tenant_ids)))


async def remember_channels(
    tx: Transaction, channels: Mapping[tuple[str, UUID], TrafficChannel]
) -> None:
    """Record channels, by tenant and id, first seen in a message; their own events' word stays."""
    rows = [
        ChannelRef(
            tenant_id=tenant_id,
            channel_id=channel_id,
            name=channel.name,
            session_timeout_seconds=channel.session_timeout_seconds,
        )
        for (tenant_id, channel_id), channel in sorted(channels.items(), key=itemgetter(0))
    ]
    await CHANNELS.insert(tx, rows, unless="(tenant_id, channel_id)")


_KNOWN_CONTACTS = """
SELECT c.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, contact_id)
CROSS JOIN LATERAL (SELECT * FROM contact_refs
    WHERE tenant_id = k.tenant_id AND contact_id = k.contact_id LIMIT 1) AS c
"""


async def known_contacts(
    tx: Transaction, contacts: Iterable[ContactKey]
) -> dict[ContactKey, ContactRef]:
    """Those of the contacts that were told of."""
    wanted = sorted(set(contacts))
    rows = await CONTACTS.find(
        tx, _KNOWN_CONTACTS, [tenant for tenant, _ in wanted], [contact for _, contact in wanted]
    )
    return {(row.tenant_id, row.contact_id): row for row in rows}


_KNOWN_CHANNELS = """
SELECT h.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, channel_id)
CROSS JOIN LATERAL (SELECT * FROM channel_refs
    WHERE tenant_id = k.tenant_id AND channel_id = k.channel_id LIMIT 1) AS h
"""


async def known_channels(
    tx: Transaction, channels: Iterable[tuple[str, UUID]]
) -> dict[tuple[str, UUID], ChannelSummary]:
    """Channels, by tenant and id, as events show them, whether or not they still exist."""
    wanted = sorted(set(channels))
    rows = await CHANNELS.find(
        tx, _KNOWN_CHANNELS, [tenant for tenant, _ in wanted], [channel for _, channel in wanted]
    )
    names = {(row.tenant_id, row.channel_id): row.name for row in rows}
    return {key: ChannelSummary(id=key[1], name=names.get(key, "")) for key in wanted}


async def identities_of(tx: Transaction, contact_id: UUID) -> dict[WhatsAppId, bool]:
    """The WhatsApp ids of a contact that are its own now, and whether each is proved."""
    rows = await IDENTITIES.find(
        tx,
        "SELECT * FROM identity_refs WHERE tenant_id = $1 AND contact_id = $2"
        " AND NOT taken_off ORDER BY canonical",
        tx.tenant_id,
        contact_id,
    )
    return {WhatsAppId(cast(IdentityKind, row.kind), row.value): row.proved for row in rows}


@dataclass(frozen=True, slots=True)
class _Names:
    """What is shown of a contact and a channel."""

    contact: str | None
    phone: str | None
    channel: str | None


_NAMES = Shape(_Names)


async def summaries(
    tx: Transaction, contact_id: UUID, channel_id: UUID
) -> tuple[ContactSummary, ChannelSummary]:
    """Contact and channel as events show them, whether or not they still exist."""
    found = await _NAMES.first(
        tx,
        "SELECT c.name AS contact, c.phone, h.name AS channel FROM (SELECT) AS always"
        " LEFT JOIN contact_refs c ON c.tenant_id = $1 AND c.contact_id = $2"
        " LEFT JOIN channel_refs h ON h.tenant_id = $1 AND h.channel_id = $3",
        tx.tenant_id,
        contact_id,
        channel_id,
    )
    shown = found or _Names(None, None, None)
    return (
        ContactSummary(id=contact_id, name=shown.contact or "", phone=shown.phone),
        ChannelSummary(id=channel_id, name=shown.channel or ""),
    )
