"""Trackings that messages make: WhatsApp says by which advertisement somebody came."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson
from pydantic import ValidationError
from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.contacts.tracking import Tracking, TrackingCreated

_NAMESPACE = UUID("2f0d5a0e-6f3b-5f25-9c37-1d6c0a0f7b31")
_NOTE = """
INSERT INTO trackings (id, tenant_id, contact_id, source, platform, ad_id, ad_url, click_id,
    conversion_data, created_at)
SELECT id, tenant_id, contact_id, 'meta_ads', platform, ad_id, ad_url, click_id, data::jsonb, at
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::timestamptz[])
    AS new(id, tenant_id, contact_id, platform, ad_id, ad_url, click_id, data, at)
ORDER BY tenant_id, click_id
ON CONFLICT DO NOTHING
RETURNING id
"""

Received = Event[ChannelMessageReceived]


async def note(tx: Transaction, arrivals: Iterable[tuple[UUID, Received]]) -> None:
    """Note the advertisements that these messages, each with its contact, name; and tell of it.

    A click is on record once, and a message makes one tracking however often it is told. Nothing
    is asked of the database where none is named, which is nearly always.
    """
    found = {
        tracking.id: (tracking, event)
        for contact_id, event in arrivals
        if event.data.direction == "inbound" and (tracking := _tracking(contact_id, event))
    }
    if not found:
        return
    rows = list(found.values())
    noted = await tx.fetch(
        _NOTE,
        [t.id for t, _ in rows],
        [event.tenant_id for _, event in rows],
        [t.contact_id for t, _ in rows],
        [t.platform for t, _ in rows],
        [t.ad_id for t, _ in rows],
        [t.ad_url for t, _ in rows],
        [t.click_id for t, _ in rows],
        [orjson.dumps(t.conversion_data).decode() for t, _ in rows],
        [t.created_at for t, _ in rows],
    )
    for record in noted:
        tracking, event = found[UUID(str(record["id"]))]
        tx.outbox.add(
            TrackingCreated(tracking=tracking),
            tracking.contact_id,
            tenant_id=event.tenant_id,
            cause=event.cause,
        )


def _tracking(contact_id: UUID, event: Received) -> Tracking | None:
    """None where the message names no advertisement, or nothing that fits."""
    said = event.data.details.get("referral")
    if not isinstance(said, Mapping):
        return None
    told: dict[str, Any] = {
        "id": uuid5(_NAMESPACE, f"{event.tenant_id}/{event.id}"),
        "contact_id": contact_id,
        "source": "meta_ads",
        "platform": said.get("app"),
        "ad_id": said.get("ad_id"),
        "ad_url": said.get("url"),
        "click_id": said.get("click_id"),
        "conversion_data": {k: said[k] for k in ("title", "text", "ref") if k in said},
        "created_at": datetime.now(UTC),
    }
    try:
        return Tracking.model_validate(told)
    except ValidationError:  # another version's words: the message itself is not to suffer
        return None
