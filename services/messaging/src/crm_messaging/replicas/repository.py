"""Reading the replicas. They lag behind their owner by milliseconds; reads may be patient."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from asyncpg import Record
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from shared_events.channels.traffic import TrafficChannel
from shared_events.identity import WhatsAppId
from shared_events.messaging.summaries import ChannelSummary, ContactSummary

PATIENCE_SECONDS = 0.5
_STEPS = 25

Found = TypeVar("Found")


async def _patiently(look: Callable[[], Awaitable[Found | None]]) -> Found | None:
    """Look until something is there, for half a second: who just created it may ask at once."""
    for _ in range(_STEPS):
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(PATIENCE_SECONDS / _STEPS)
    return await look()


async def get_contact(tx: Transaction, contact_id: UUID) -> ContactSummary:
    """A contact that can be written to; NotFoundError when missing or deleted."""
    row = await known_contact(tx, contact_id)
    if row["deleted"]:
        raise NotFoundError("contact")
    return ContactSummary.model_validate(dict(row))


async def known_contact(tx: Transaction, contact_id: UUID) -> Record:
    """A contact whose messages can be read, deleted ones included; else NotFoundError."""
    row = await _patiently(
        lambda: tx.fetchrow(
            "SELECT contact_id AS id, name, phone, deleted FROM contact_refs"
            " WHERE contact_id = $1 AND tenant_id = $2",
            contact_id,
            tx.tenant_id,
        )
    )
    if row is None:
        raise NotFoundError("contact")
    return row


@dataclass(frozen=True, slots=True)
class KnownChannel:
    """A channel to write through and the timeout, in seconds, of its conversations."""

    summary: ChannelSummary
    session_timeout_seconds: int


async def get_channel(tx: Transaction, channel_id: UUID) -> KnownChannel:
    """A channel; NotFoundError when missing or deleted."""
    row = await _patiently(
        lambda: tx.fetchrow(
            "SELECT channel_id AS id, name, session_timeout_seconds, deleted FROM channel_refs"
            " WHERE channel_id = $1 AND tenant_id = $2",
            channel_id,
            tx.tenant_id,
        )
    )
    if row is None or row["deleted"]:
        raise NotFoundError("channel")
    return KnownChannel(
        ChannelSummary(id=row["id"], name=row["name"]), row["session_timeout_seconds"]
    )


async def agent_is_active(tx: Transaction, agent_id: UUID) -> bool:
    """Whether sessions can be given to this agent."""
    active = await _patiently(
        lambda: tx.fetchval(
            "SELECT active FROM agent_refs WHERE agent_id = $1 AND tenant_id = $2",
            agent_id,
            tx.tenant_id,
        )
    )
    return active is True


async def remember_channels(tx: Transaction, channels: Mapping[UUID, TrafficChannel]) -> None:
    """Record channels first seen in a message; what their own events said stays."""
    ordered = [channels[channel_id] for channel_id in sorted(channels)]
    await tx.execute(
        "INSERT INTO channel_refs (tenant_id, channel_id, name, session_timeout_seconds)"
        " SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::int[]) ON CONFLICT DO NOTHING",
        tx.tenant_id,
        [channel.id for channel in ordered],
        [channel.name for channel in ordered],
        [channel.session_timeout_seconds for channel in ordered],
    )


async def identities_of(tx: Transaction, contact_id: UUID) -> list[WhatsAppId]:
    """The WhatsApp ids of a contact that are its own now."""
    rows = await tx.fetch(
        "SELECT kind, value FROM identity_refs WHERE tenant_id = $1 AND contact_id = $2"
        " AND NOT taken_off ORDER BY canonical",
        tx.tenant_id,
        contact_id,
    )
    return [WhatsAppId(row["kind"], row["value"]) for row in rows]


async def summaries(
    tx: Transaction, contact_id: UUID, channel_id: UUID
) -> tuple[ContactSummary, ChannelSummary]:
    """Contact and channel as events show them, whether or not they still exist."""
    row = await tx.fetchrow(
        "SELECT (SELECT name FROM contact_refs WHERE tenant_id = $1 AND contact_id = $2),"
        " (SELECT phone FROM contact_refs WHERE tenant_id = $1 AND contact_id = $2),"
        " (SELECT name FROM channel_refs WHERE tenant_id = $1 AND channel_id = $3)",
        tx.tenant_id,
        contact_id,
        channel_id,
    )
    name, phone, channel = row if row is not None else (None, None, None)
    return (
        ContactSummary(id=contact_id, name=name or "", phone=phone),
        ChannelSummary(id=channel_id, name=channel or ""),
    )
