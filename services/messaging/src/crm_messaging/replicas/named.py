"""Who people are that WhatsApp names by an id."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Shape
from shared_events.identity import WhatsAppId, parse_whatsapp_id

# One look into each index for each person (docs/adr/0017).
_NAMES = """
SELECT k.participant, i.contact_id, c.name
FROM unnest($2::text[], $3::text[], $4::text[]) AS k(participant, kind, canonical)
CROSS JOIN LATERAL (SELECT contact_id FROM identity_refs
    WHERE tenant_id = $1 AND kind = k.kind AND canonical = k.canonical LIMIT 1) AS i
LEFT JOIN LATERAL (SELECT name FROM contact_refs
    WHERE tenant_id = $1 AND contact_id = i.contact_id LIMIT 1) AS c ON true
"""


@dataclass(frozen=True, slots=True)
class Named:
    """The contact a WhatsApp id is of."""

    participant: str
    contact_id: UUID
    name: str | None


_NAMED = Shape(Named)


async def contacts(tx: Transaction, chat_ids: Iterable[str]) -> dict[str, Named]:
    """Whose these WhatsApp ids are, of those that are somebody's."""
    people: dict[str, WhatsAppId] = {
        chat_id: who for chat_id in chat_ids if (who := parse_whatsapp_id(chat_id))
    }
    rows = await _NAMED.find(
        tx,
        _NAMES,
        tx.tenant_id,
        list(people),
        [who.kind for who in people.values()],
        [who.canonical for who in people.values()],
    )
    return {row.participant: row for row in rows}
