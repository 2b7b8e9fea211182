"""What channels heard, in the database. A row is locked after its channel's."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows, Shape

from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import CHANNELS, ChannelKey
from crm_channels_waha.hearing.models import Hearing

SCOPE = "liveness"
HEARINGS = Rows(Hearing)

# By the keys alone, and whether a channel is deleted is looked at afterwards (`channels`' `_FIND`).
_HEARERS = """
SELECT c.*, h.no_news_until FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
CROSS JOIN LATERAL (
    SELECT * FROM channels WHERE tenant_id = k.tenant_id AND id = k.id LIMIT 1) AS c
LEFT JOIN LATERAL (
    SELECT CASE WHEN heard_at > now() - interval '1 second'
        AND unanswered_since IS NULL AND deaf_since IS NULL THEN said_at END AS no_news_until
    FROM hearings WHERE tenant_id = k.tenant_id AND channel_id = k.id LIMIT 1) AS h ON true
WHERE c.deleted_at IS NULL
"""
_LOCK_CHANNEL = "SELECT 1 FROM channels WHERE tenant_id = k.tenant_id AND id = k.id"
_LOCK_HEARING = "SELECT 1 FROM hearings WHERE tenant_id = k.tenant_id AND channel_id = k.id"
_LOCK = """
SELECT 1 FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
CROSS JOIN LATERAL ({} LIMIT 1 FOR UPDATE) AS l
"""
# Each gap counts for a fifth, so that the nights are forgotten by noon. A clock that is ahead, the
# phone's or WhatsApp's of ours, is believed within a day: WAHA holds that time, too.
_HEAR = """
INSERT INTO hearings AS h (channel_id, tenant_id, said_at, heard_at)
SELECT t.channel_id, t.tenant_id, least(t.said_at, now() + interval '1 day'), now()
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS t(tenant_id, channel_id, said_at)
ORDER BY t.tenant_id, t.channel_id
ON CONFLICT (channel_id) DO UPDATE SET
    said_at = greatest(h.said_at, excluded.said_at),
    heard_at = now(),
    usual_gap_seconds =
        0.8 * coalesce(h.usual_gap_seconds, extract(epoch FROM now() - h.heard_at))
        + 0.2 * extract(epoch FROM now() - h.heard_at),
    unanswered_since = NULL,
    deaf_since = NULL
WHERE h.tenant_id = excluded.tenant_id
"""
# Who never was connected is not listening yet: what is said until then is its history.
_SPOKE = """
UPDATE hearings SET heard_at = now(), deaf_since = NULL WHERE tenant_id = $1 AND channel_id = $2
"""
_AWAIT_ECHO = """
UPDATE hearings SET unanswered_since = now()
WHERE tenant_id = $1 AND channel_id = $2 AND unanswered_since IS NULL
"""
_LEAVE_GAP = """
UPDATE hearings SET gap_since = coalesce(gap_since, said_at)
WHERE tenant_id = $1 AND channel_id = $2
"""
_LISTEN = """
INSERT INTO hearings (channel_id, tenant_id, said_at, heard_at) VALUES ($2, $1, now(), now())
ON CONFLICT (channel_id) DO NOTHING
"""
_FORGET = "DELETE FROM hearings WHERE tenant_id = $1 AND channel_id = $2"
# Who is silent longer than its habit is looked at, and the longer it is, the more rarely; and so is
# who left a gap or has no echo. Taken by saying when it was looked at: a process that dies looking
# costs a delay.
_CLAIM = """
UPDATE hearings SET looked_at = now() WHERE channel_id IN (
    SELECT h.channel_id FROM hearings h JOIN channels c ON c.id = h.channel_id
    WHERE c.deleted_at IS NULL AND c.status <> 'created' AND (
        greatest(h.heard_at, h.looked_at) + least(
            greatest(make_interval(secs => coalesce(4 * h.usual_gap_seconds, $3)),
                make_interval(secs => $2), h.looked_at - h.heard_at),
            make_interval(secs => $3)) <= now()
        OR (h.unanswered_since + make_interval(secs => $4) <= now()
            AND coalesce(h.looked_at < h.unanswered_since + make_interval(secs => $4), true))
        OR (h.gap_since IS NOT NULL AND c.status IN ('connected', 'degraded')
            AND coalesce(h.looked_at + make_interval(secs => $4) <= now(), true)))
    ORDER BY h.looked_at NULLS FIRST LIMIT $1 FOR UPDATE OF h SKIP LOCKED)
RETURNING *
"""
_FIND = "SELECT * FROM hearings WHERE tenant_id = $1 AND channel_id = $2"
_DEAF = """
SELECT h.channel_id FROM hearings h JOIN channels c ON c.id = h.channel_id
WHERE h.deaf_since IS NOT NULL AND c.deleted_at IS NULL AND c.status IN ('connected', 'degraded')
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long silence may be at least and at most, and how long news may be on its way.

    `repair` is the pause after a first restart; each next is twice as long, up to `repair_max`.
    """

    quiet: float
    quiet_max: float
    grace: float
    repair: float
    repair_max: float

    def pause(self, repairs: int) -> float:
        """The pause after so many restarts in a row."""
        return float(min(self.repair * 2 ** min(max(repairs - 1, 0), 20), self.repair_max))


@dataclass(frozen=True, slots=True)
class Hearer:
    """A channel. Of messages said until `no_news_until`, if any, nothing is to be noted."""

    channel: ChannelRow
    no_news_until: datetime | None


@dataclass(frozen=True, slots=True)
class _NoNews:
    no_news_until: datetime | None


@dataclass(frozen=True, slots=True)
class _Deaf:
    channel_id: UUID


_NO_NEWS = Shape(_NoNews)
_DEAF_ONES = Shape(_Deaf)


async def hearers(tx: Transaction, keys: Collection[ChannelKey]) -> dict[ChannelKey, Hearer]:
    """Those of the channels that exist and are not deleted, and what there is to note of them."""
    tenant_ids, ids = [tenant_id for tenant_id, _ in keys], [id_ for _, id_ in keys]
    records = await tx.fetch(_HEARERS, tenant_ids, ids)
    found = [
        Hearer(CHANNELS.value(record), _NO_NEWS.value(record).no_news_until) for record in records
    ]
    return {(one.channel.tenant_id, one.channel.id): one for one in found}


async def lock(
    tx: Transaction, channels: Collection[ChannelKey], heard: Collection[ChannelKey]
) -> None:
    """Lock channels, then what they and those others heard: whoever changes both waits in a row."""
    for rows, keys in ((_LOCK_CHANNEL, channels), (_LOCK_HEARING, {*channels, *heard})):
        ordered = sorted(keys)
        tenant_ids, ids = [tenant_id for tenant_id, _ in ordered], [id_ for _, id_ in ordered]
        await tx.fetch(_LOCK.format(rows), tenant_ids, ids)


async def heard(tx: Transaction, newest: Mapping[ChannelKey, datetime]) -> None:
    """These channels heard messages, said at these times at the latest."""
    if newest:
        tenant_ids, ids = [tenant_id for tenant_id, _ in newest], [id_ for _, id_ in newest]
        await tx.execute(_HEAR, tenant_ids, ids, list(newest.values()))


async def spoke(tx: Transaction, channel: ChannelKey) -> None:
    """WAHA told us something else of a channel: it has our address, and uses it."""
    await tx.execute(_SPOKE, *channel)


async def await_echo(tx: Transaction, channel: ChannelKey) -> None:
    """A message of ours went out: it comes back, or something is wrong."""
    await tx.execute(_AWAIT_ECHO, *channel)


async def leave_gap(tx: Transaction, channel: ChannelKey) -> None:
    """From the last message heard on, some may be missing."""
    await tx.execute(_LEAVE_GAP, *channel)


async def listen(tx: Transaction, channel: ChannelKey) -> None:
    """A channel is connected: from now on it should hear; what was said before is its history."""
    await tx.execute(_LISTEN, *channel)


async def forget(tx: Transaction, channel: ChannelKey) -> None:
    """The channel has another number: what the other one missed is none of its business."""
    await tx.execute(_FORGET, *channel)


async def claim(tx: Transaction, patience: Patience, limit: int) -> list[Hearing]:
    """Channels of all tenants to look at now, each given to one caller."""
    return await HEARINGS.find(
        tx, _CLAIM, limit, patience.quiet, patience.quiet_max, patience.grace
    )


async def find(tx: Transaction, channel: ChannelKey, *, lock: bool = False) -> Hearing | None:
    """What a channel heard; None for one that never was connected."""
    return await HEARINGS.first(tx, f"{_FIND} FOR UPDATE" if lock else _FIND, *channel)


async def note(tx: Transaction, hearing: Hearing) -> None:
    """Write what a look came to; the caller holds the row's lock."""
    looked = ("said_at", "gap_since", "deaf_since", "outcome", "repairs", "repaired_at")
    await HEARINGS.update(tx, [hearing], *looked)


async def deaf(tx: Transaction) -> list[UUID]:
    """The channels of all tenants that work, by their own word, and are deaf."""
    return [one.channel_id for one in await _DEAF_ONES.find(tx, _DEAF)]
