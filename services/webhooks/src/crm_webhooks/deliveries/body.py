"""The body customers get."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson


def write_body(
    event_id: UUID, event_type: str, occurred_at: datetime, tenant_id: str, data: Any
) -> bytes:
    """`{"id", "type", "timestamp", "tenant_id", "data"}`, in the bytes that are signed and sent.

    `id` is the event's, `timestamp` when it happened (UTC).
    """
    return orjson.dumps(
        {
            "id": str(event_id),
            "type": event_type,
            "timestamp": occurred_at,
            "tenant_id": tenant_id,
            "data": data,
        },
        option=orjson.OPT_UTC_Z,
    )
