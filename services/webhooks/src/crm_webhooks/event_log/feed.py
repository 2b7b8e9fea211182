"""Reading the feed: a page after a place, what has come since, one event."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import ConflictError, MalformedError, NotFoundError
from service_kit.rows import Rows
from shared_events.webhooks.event import (
    EventPage,
    FollowedPage,
    FollowEvents,
    ListEvents,
    PlacedEvent,
    PublicEvent,
)

from crm_webhooks.event_log.holders import SEEN
from crm_webhooks.event_log.models import Head, LoggedEvent

_LOG, _HEADS = Rows(LoggedEvent), Rows(Head)
_FOLLOWED = 100
WINDOW = 5000
"""Places of a feed that are looked at for a page, where it is not known how many of them the caller
may see: a page may be empty, and have more behind it."""
_HEAD = "SELECT * FROM event_log_heads WHERE tenant_id = $1"
_EVENT = "SELECT * FROM domain_event_log WHERE tenant_id = $1 AND event_id = $2"
# Each type by itself: a rare one is found as quickly as a frequent one, however long the log is.
_PAGE = """
SELECT event.* FROM unnest($2::text[]) AS wanted(event_type)
CROSS JOIN LATERAL (
    SELECT * FROM domain_event_log
    WHERE tenant_id = $1 AND event_type = wanted.event_type AND seq > $3 AND seq <= $4 {seen}
    ORDER BY seq LIMIT $5) AS event
ORDER BY event.seq LIMIT $5
"""
_STORY = """
SELECT * FROM domain_event_log
WHERE tenant_id = $1 AND aggregate_id = $6 AND event_type = ANY($2::text[])
    AND seq > $3 AND seq <= $4 {seen}
ORDER BY seq LIMIT $5
"""
PAGE, STORY = _PAGE.format(seen=""), _STORY.format(seen="")
OWN_PAGE = _PAGE.format(seen=SEEN.format(me="$6::uuid"))
OWN_STORY = _STORY.format(seen=SEEN.format(me="$7::uuid"))
_OWN_EVENT = _EVENT + SEEN.format(me="$3::uuid")


async def page(
    tx: Transaction, request: ListEvents, types: Sequence[str], own: UUID | None = None
) -> EventPage:
    """The next events of these types; `own`: of those, what this agent sees (`holders`).

    Raises MalformedError for a place that never was, ConflictError for one whose sequel is deleted.
    """
    head = await _head(tx)
    after = head.purged if request.after is None else await _place(tx, request.after, head)
    until = _until(after, head, own)
    values: list[Any] = [tx.tenant_id, types, after, until, request.limit + 1]
    if request.aggregate_id is None:
        statement = PAGE if own is None else OWN_PAGE
    else:
        statement = STORY if own is None else OWN_STORY
        values.append(request.aggregate_id)
    rows = await _LOG.find(tx, statement, *values, *([own] if own else ()))
    shown, more = rows[: request.limit], len(rows) > request.limit
    return EventPage(
        data=[_public(row) for row in shown],
        has_more=more or until < head.seq,
        next_cursor=str(shown[-1].seq if more else until),
    )


async def since(
    tx: Transaction, request: FollowEvents, types: Sequence[str], own: UUID | None = None
) -> FollowedPage:
    """What came of these types after a place; without one, nothing yet, and the place that is now.

    `own` is as with `page`, and so is what is raised.
    """
    head = await _head(tx)
    after = head.seq if request.after is None else await _place(tx, request.after, head)
    until = _until(after, head, own)
    statement, whose = (PAGE, ()) if own is None else (OWN_PAGE, (own,))
    rows = (
        await _LOG.find(tx, statement, tx.tenant_id, types, after, until, _FOLLOWED + 1, *whose)
        if after < until
        else []
    )
    shown, more = rows[:_FOLLOWED], len(rows) > _FOLLOWED
    return FollowedPage(
        data=[PlacedEvent(cursor=str(row.seq), event=_public(row)) for row in shown],
        has_more=more or until < head.seq,
        next_cursor=str(shown[-1].seq if more else until),
    )


async def event(
    tx: Transaction, event_id: UUID, types: Sequence[str], own: UUID | None = None
) -> PublicEvent:
    """One event of these types; raises NotFoundError. `own` is as with `page`."""
    statement, whose = (_EVENT, ()) if own is None else (_OWN_EVENT, (own,))
    row = await _LOG.first(tx, statement, tx.tenant_id, event_id, *whose)
    if row is None or row.event_type not in types:
        raise NotFoundError("event")
    return _public(row)


def _until(after: int, head: Head, own: UUID | None) -> int:
    return head.seq if own is None else min(head.seq, after + WINDOW)


async def _head(tx: Transaction) -> Head:
    """How far the feed goes. Read before the events: whatever it has counted is committed."""
    return await _HEADS.first(tx, _HEAD, tx.tenant_id) or Head(tenant_id=tx.tenant_id, seq=0)


async def _place(tx: Transaction, after: str, head: Head) -> int:
    """The place a caller names, by a cursor or by the id of an event."""
    place = int(after) if after.isascii() and after.isdecimal() else await _seq_of(tx, after)
    if place is None or place > head.seq:
        raise MalformedError("invalid_cursor", "This is neither a cursor we gave nor an event.")
    if place < head.purged:
        raise ConflictError("cursor_expired", "What followed is no longer kept: begin anew.")
    return place


async def _seq_of(tx: Transaction, event_id: str) -> int | None:
    try:
        row = await _LOG.first(tx, _EVENT, tx.tenant_id, UUID(event_id))
    except ValueError:
        return None
    return row.seq if row else None


def _public(row: LoggedEvent) -> PublicEvent:
    return PublicEvent(
        id=row.event_id,
        type=row.event_type,
        timestamp=row.occurred_at,
        tenant_id=row.tenant_id,
        data=row.payload,
    )
