"""Telling a channel's sender, in whichever process it is, to look at what it owes."""

from collections.abc import Collection
from uuid import UUID

from service_kit.database import Transaction

WAKE = "channels_outbound"
"""NOTIFY channel; the payload is the id of a channel with something to send."""


async def wake(tx: Transaction, channel_ids: Collection[UUID]) -> None:
    """Let the senders of these channels look again, once this is committed."""
    payloads = sorted(map(str, channel_ids))
    await tx.execute("SELECT pg_notify($1, c) FROM unnest($2::text[]) AS c", WAKE, payloads)
