"""Opting out by a word: STOP, and nothing else (docs/architecture.md, "Consent").

Which words those are, each company sets for itself; none, until it does. CANCELAR may be an answer
to a question of its own, so nobody is cut off by an update.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.rows import Rows
from service_kit.search import fold
from service_kit.text import without_nul
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.contacts.opt_out import ContactOptedIn, ContactOptedOut
from shared_events.gateway.company import SettingsUpdated

from crm_contacts.opt_outs.models import OptOutWords
from crm_contacts.opt_outs.repository import OPT_OUTS, to_resource

Received = Event[ChannelMessageReceived]
Key = tuple[str, UUID, UUID]
"""Tenant, contact, channel."""

_WORDS = Rows(OptOutWords)
_MOST = 100
"""Characters of a message that may be a word; folding makes some longer."""
_MEANT = """
SELECT k.place, w.opts_out FROM unnest($1::text[], $2::text[]) WITH ORDINALITY
    AS k(tenant_id, said, place)
CROSS JOIN LATERAL (
    SELECT k.said = ANY(opting_out) AS opts_out, k.said = ANY(opting_in) AS opts_in
    FROM opt_out_words WHERE tenant_id = k.tenant_id LIMIT 1) AS w
WHERE w.opts_out OR w.opts_in ORDER BY k.place
"""
_OPT_OUT = """
INSERT INTO contact_opt_outs (tenant_id, contact_id, channel_id, reason, source, opted_out_at)
SELECT tenant_id, contact_id, channel_id, reason, 'customer', $5
FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[])
    AS new(tenant_id, contact_id, channel_id, reason)
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
RETURNING *
"""
_TAKE_BACK = """
DELETE FROM contact_opt_outs WHERE tenant_id = ANY($1::text[]) AND ctid = ANY(ARRAY(
    SELECT o.ctid FROM unnest($1::text[], $2::uuid[], $3::uuid[])
        AS k(tenant_id, contact_id, channel_id)
    CROSS JOIN LATERAL (SELECT ctid FROM contact_opt_outs WHERE tenant_id = k.tenant_id
        AND contact_id = k.contact_id AND channel_id = k.channel_id LIMIT 1 FOR UPDATE) AS o))
RETURNING *
"""


async def on_settings_updated(tx: Transaction, events: Sequence[Event[SettingsUpdated]]) -> None:
    """Keep the words of these companies; the newest event of each wins."""
    ordered = sorted(events, key=lambda event: event.body.aggregate_seq)
    newest = {event.tenant_id: event for event in ordered}
    rows = [
        OptOutWords(
            tenant_id=tenant_id,
            opting_out=_folded(event.data.settings.opt_out_words),
            opting_in=_folded(event.data.settings.opt_in_words),
            seq=event.body.aggregate_seq,
        )
        for tenant_id, event in newest.items()
    ]
    await _WORDS.upsert(tx, rows, newest="seq")


async def heed(tx: Transaction, arrivals: Iterable[tuple[UUID, Received]]) -> None:
    """Opt out, or in again, whose message says so, each with its contact; and tell of it.

    On the message's channel alone; an opt-out of all channels is not taken back by a word. Of
    several words the last counts. A word that opts out and in opts out.
    """
    said = [
        (event.tenant_id, contact_id, word, event)
        for contact_id, event in arrivals
        if (word := _word(event.data))
    ]
    if not said:
        return
    meant = await tx.fetch(_MEANT, [one[0] for one in said], [one[2] for one in said])
    out: dict[Key, Received] = {}
    back: dict[Key, Received] = {}
    for row in meant:
        tenant_id, contact_id, _, event = said[row["place"] - 1]
        key = tenant_id, contact_id, event.data.channel.id
        (out if row["opts_out"] else back)[key] = event
        (back if row["opts_out"] else out).pop(key, None)
    if out:
        await _opt_out(tx, out)
    if back:
        await _opt_in(tx, back)


def _word(said: ChannelMessageReceived) -> str | None:
    """What a customer's message says, if it may be a word; in a group nobody speaks to us alone."""
    if said.direction != "inbound" or said.is_group or said.content_type != "text":
        return None
    text = _text(said)
    return fold(text).strip() or None if len(text) <= _MOST else None


def _text(said: ChannelMessageReceived) -> str:
    return str(without_nul(said.content or "")).strip()


def _folded(words: Collection[str]) -> list[str]:
    return sorted({fold(word).strip() for word in words} - {""})


async def _opt_out(tx: Transaction, wanted: dict[Key, Received]) -> None:
    """Whoever is out already stays so, for the reason that stands there."""
    reasons = [_text(event.data) for event in wanted.values()]
    for row in await OPT_OUTS.find(tx, _OPT_OUT, *_arrays(wanted), reasons, datetime.now(UTC)):
        cause = wanted[row.tenant_id, row.contact_id, row.channel_id].cause
        told = ContactOptedOut(opt_out=to_resource(row))
        tx.outbox.add(told, row.contact_id, tenant_id=row.tenant_id, cause=cause)


async def _opt_in(tx: Transaction, wanted: dict[Key, Received]) -> None:
    for row in await OPT_OUTS.find(tx, _TAKE_BACK, *_arrays(wanted)):
        cause = wanted[row.tenant_id, row.contact_id, row.channel_id].cause
        told = ContactOptedIn(contact_id=row.contact_id, channel_id=row.channel_id)
        tx.outbox.add(told, row.contact_id, tenant_id=row.tenant_id, cause=cause)


def _arrays(keys: Iterable[Key]) -> tuple[list[str], list[UUID], list[UUID]]:
    tenants, contacts, channels = zip(*keys, strict=True)
    return list(tenants), list(contacts), list(channels)
