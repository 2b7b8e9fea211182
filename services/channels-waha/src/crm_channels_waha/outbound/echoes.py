"""Echoes and receipts: WhatsApp's proof that it has a message of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.rows import Shape

from crm_channels_waha.channels.waking import wake
from crm_channels_waha.outbound import ledger
from crm_channels_waha.outbound.ledger import MESSAGES
from crm_channels_waha.outbound.models import OutboundMessage
from crm_channels_waha.waha.likeness import EXACT

# LATERAL with a LIMIT looks each one up by itself: no statistics can talk the planner into reading
# the whole ledger.
_BY_ID = """
SELECT o.* FROM unnest($1::text[], $2::uuid[], $3::text[]) AS e(tenant_id, channel_id, external_id)
CROSS JOIN LATERAL (
    SELECT * FROM outbound_messages WHERE tenant_id = e.tenant_id
        AND channel_id = e.channel_id AND external_id = e.external_id LIMIT 1) AS o
"""
# Files may come back as another kind of file, and places and cards with words of the engine's.
# One message at a time is under way in a chat, so the one being sent is the likeliest match. As
# many as there are echoes: earlier ones may take what would have been this one's.
_BY_WORDS = """
SELECT e.place, o.tenant_id, o.seq
FROM unnest($1::int[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[])
    AS e(place, tenant_id, channel_id, chat_id, content_type, content)
CROSS JOIN LATERAL (
    SELECT tenant_id, seq,
        array_position(ARRAY['sending', 'unknown', 'sent', 'failed'], state::text) AS rank
    FROM outbound_messages
    WHERE tenant_id = e.tenant_id AND channel_id = e.channel_id AND chat_id = e.chat_id
        AND external_id IS NULL AND target_id IS NULL
        AND sending_at > now() - interval '1 day'
        AND (content_type = e.content_type
            OR NOT (content_type = ANY($8::text[]) OR e.content_type = ANY($8::text[])))
        AND (e.content_type IN ('location', 'contact')
            OR btrim(coalesce(content, '')) = btrim(coalesce(e.content, '')))
        AND (state IN ('sending', 'unknown', 'sent')
            OR (state = 'failed' AND reason LIKE 'outcome_unknown%'))
    ORDER BY rank, seq LIMIT $7) AS o
ORDER BY e.place, o.rank, o.seq
"""
_LOCK = """
SELECT o.* FROM unnest($1::text[], $2::bigint[]) AS k(tenant_id, seq)
CROSS JOIN LATERAL (
    SELECT * FROM outbound_messages
    WHERE tenant_id = k.tenant_id AND seq = k.seq LIMIT 1 FOR UPDATE) AS o
"""
_CONFIRM = """
UPDATE outbound_messages SET state = 'sent', external_id = $3,
    next_attempt_at = NULL, reason = NULL, updated_at = now()
WHERE tenant_id = $1 AND seq = $2
"""

ExternalKey = tuple[str, UUID, str]
"""Tenant, channel and bare id: what names a message to WhatsApp, and whose it is."""
_Seq = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Said:
    """What an echo without a known id is recognised by: where, what kind, which words."""

    chats: tuple[str, ...]
    content_type: str
    content: str | None


@dataclass(frozen=True, slots=True)
class Echo:
    """Proof that WhatsApp has a message of ours; `said` where the words may identify it."""

    tenant_id: str
    channel_id: UUID
    external_id: str
    at: datetime
    cause: Cause
    said: Said | None = None

    @property
    def key(self) -> ExternalKey:
        """What it names."""
        return self.tenant_id, self.channel_id, self.external_id


@dataclass(frozen=True, slots=True)
class _Alike:
    """A message of ours that says what an echo says; `place` is the echo's in the batch."""

    place: int
    tenant_id: str
    seq: int


_ALIKE = Shape(_Alike)


async def confirm(tx: Transaction, echoes: Sequence[Echo]) -> set[ExternalKey]:
    """Settle what these prove sent, of whatever companies; returns those that are ours."""
    if not echoes:
        return set()
    ours = await _by_id(tx, echoes)
    alike = await _by_words(tx, {n: e for n, e in enumerate(echoes) if e.key not in ours})
    open_ones = {_seq(row) for row in ours.values() if row.state != "sent"}
    locked = await _locked(tx, open_ones.union(*alike.values()))
    # As they are now: meanwhile the answer to a send may have named its id, too. Where that came
    # between the two looks, neither has found it.
    ours |= {_key(row): row for row in locked.values() if row.external_id is not None}
    if unseen := [echo for echo in echoes if echo.said is not None and echo.key not in ours]:
        ours |= await _by_id(tx, unseen)
    settled: dict[_Seq, tuple[OutboundMessage, Echo]] = {}
    for place, echo in enumerate(echoes):
        row = ours.get(echo.key)
        if row is None:
            free = (locked[seq] for seq in alike.get(place, ()) if seq not in settled)
            row = next(filter(_may_be_anyones, free), None)
        if row is not None:
            ours[echo.key] = row
            if row.state != "sent" or row.external_id is None:
                settled.setdefault(_seq(row), (row, echo))
    await _settle(tx, settled)
    return set(ours)


async def _by_id(tx: Transaction, echoes: Sequence[Echo]) -> dict[ExternalKey, OutboundMessage]:
    rows = await MESSAGES.find(
        tx,
        _BY_ID,
        [echo.tenant_id for echo in echoes],
        [echo.channel_id for echo in echoes],
        [echo.external_id for echo in echoes],
    )
    return {_key(row): row for row in rows}


async def _by_words(tx: Transaction, echoes: dict[int, Echo]) -> dict[int, list[_Seq]]:
    """For the places of those that say something: what may be meant, the likeliest first."""
    said = [
        (place, echo.tenant_id, echo.channel_id, chat, echo.said.content_type, echo.said.content)
        for place, echo in echoes.items()
        if echo.said is not None
        for chat in echo.said.chats
    ]
    alike: dict[int, list[_Seq]] = {}
    if said:
        columns = map(list, zip(*said, strict=True))
        for one in await _ALIKE.find(tx, _BY_WORDS, *columns, len(said), sorted(EXACT)):
            alike.setdefault(one.place, []).append((one.tenant_id, one.seq))
    return alike


async def _locked(tx: Transaction, wanted: set[_Seq]) -> dict[_Seq, OutboundMessage]:
    """Lock these until the commit, in one order everywhere: batches wait, and never in a circle."""
    if not wanted:
        return {}
    tenant_ids, seqs = zip(*sorted(wanted), strict=True)
    rows = await MESSAGES.find(tx, _LOCK, list(tenant_ids), list(seqs))
    return {_seq(row): row for row in rows}


async def _settle(tx: Transaction, settled: dict[_Seq, tuple[OutboundMessage, Echo]]) -> None:
    """They are sent; they are locked already."""
    if not settled:
        return
    # One by one in one round trip: of an UPDATE that joins arrays the planner makes a scan of the
    # ledger while it takes it for small.
    await tx.connection.executemany(
        _CONFIRM, [(*seq, echo.external_id) for seq, (_, echo) in settled.items()]
    )
    for row, echo in settled.values():
        ledger.tell_sent(tx, row, echo.external_id, at=echo.at, cause=echo.cause)
    await wake(tx, {row.channel_id for row, _ in settled.values()})


def _may_be_anyones(row: OutboundMessage) -> bool:
    """Whether a message still waits for an echo to name it: that may have changed meanwhile."""
    outcome_unknown = (row.reason or "").startswith(ledger.OUTCOME_UNKNOWN)
    may_have_left = row.state in ("sending", "unknown", "sent")
    return row.external_id is None and (may_have_left or outcome_unknown)


def _key(row: OutboundMessage) -> ExternalKey:
    return row.tenant_id, row.channel_id, row.external_id or ""


def _seq(row: OutboundMessage) -> _Seq:
    return row.tenant_id, row.seq or 0
