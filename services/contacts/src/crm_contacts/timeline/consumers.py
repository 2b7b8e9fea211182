"""Every contact event becomes one entry of its contact's timeline."""

from collections.abc import Sequence
from typing import Any

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.contacts.contact import (
    ContactCreated,
    ContactDeleted,
    ContactIdentityLinked,
    ContactUpdated,
)
from shared_events.envelope import EventData

_INSERT = """
INSERT INTO contact_events
    (id, tenant_id, contact_id, type, category, title, payload, occurred_at)
SELECT e.id, $1, e.contact_id, e.type, e.category, e.title, e.payload, e.occurred_at
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[],
    $8::timestamptz[]) AS e(id, contact_id, type, category, title, payload, occurred_at)
"""


async def on_contact_event(tx: Transaction, events: Sequence[Event[Any]]) -> None:
    """Write down what happened, each event once (its id is the entry's)."""
    entries = [_entry(event.data) for event in events]
    await tx.execute(
        _INSERT,
        tx.tenant_id,
        [event.body.event_id for event in events],
        [event.body.aggregate_id for event in events],
        [event.body.event_type for event in events],
        [category for category, _, _ in entries],
        [title for _, title, _ in entries],
        [payload for _, _, payload in entries],
        [event.body.occurred_at for event in events],
    )


def _entry(data: EventData) -> tuple[str, str, dict[str, Any]]:
    """Category, title and payload. The payload holds what changed, not the whole contact."""
    match data:
        case ContactCreated(contact=contact):
            shown = contact.model_dump(mode="json", include={"name", "phone", "source"})
            return "general", "Contact created", shown
        case ContactUpdated(contact=contact, changed=changed):
            new = contact.model_dump(mode="json", include=set(changed))
            title = f"Contact changed: {', '.join(changed)}"[:255]
            return "general", title, {"changed": changed, "new": new}
        case ContactDeleted():
            return "general", "Contact deleted", {}
        case ContactIdentityLinked(identity=identity):
            return "general", "WhatsApp identity linked", identity.model_dump(mode="json")
        case _:
            return "general", data.description(), {}
