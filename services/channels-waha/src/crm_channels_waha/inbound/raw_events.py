"""What is asked about events that were kept raw: reading them, and reading them anew."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import AwareDatetime
from service_kit.calls import Call
from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.incoming import Incoming
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.channels.raw_event import (
    GetRawEvent,
    ListRawEvents,
    RawEvent,
    Replayed,
    ReplayRawEvent,
    ReplayRawEvents,
)
from shared_events.requests import Page
from sqlalchemy import select

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.inbound import models
from crm_channels_waha.inbound.consumers import WahaInbox
from crm_channels_waha.inbound.events import WahaEvent

_RAW = Rows(models.RawEvent)
_C = _RAW.table.c
_NEWEST_FIRST = Order(
    "raw events",
    [(_C.received_at, AwareDatetime), (_C.id, UUID)],
    tenant=_C.tenant_id,
    descending=True,
)
_ONE = "SELECT * FROM raw_events WHERE tenant_id = $1 AND channel_id = $2 AND id = $3"
_ONE_LOCKED = f"{_ONE} FOR UPDATE"
_SOME_LOCKED = """
SELECT * FROM raw_events WHERE tenant_id = $1 AND channel_id = $2
    AND received_at >= $3 AND received_at < $4 AND replayed_at IS NULL
    AND ($5::text IS NULL OR outcome = $5)
ORDER BY received_at, id LIMIT $6 FOR UPDATE
"""
_SHOWN = ("id", "channel_id", "event", "outcome", "reason", "received_at", "replayed_at")


class RawEventRequests:
    """Answers them. Bodies are what people wrote: they are shown one at a time."""

    def __init__(self, inbox: WahaInbox) -> None:
        self._inbox = inbox

    async def list(self, tx: Transaction, request: ListRawEvents, call: Call) -> Page[RawEvent]:
        """A page of what was kept, newest first; NotFoundError when there is no such channel."""
        del call
        await channels.find(tx, request.channel_id)
        query = select(models.RawEvent).where(_C.channel_id == request.channel_id)
        if request.outcome is not None:
            query = query.where(_C.outcome == request.outcome)
        if request.reason is not None:
            query = query.where(_C.reason == request.reason)
        if request.replayed is not None:
            is_kept = _C.replayed_at.is_(None)
            query = query.where(~is_kept if request.replayed else is_kept)
        return await _NEWEST_FIRST.page(tx, query, request, _RAW, _resource)

    async def get(self, tx: Transaction, request: GetRawEvent, call: Call) -> RawEvent:
        """One event with its body; NotFoundError."""
        del call
        await channels.find(tx, request.channel_id)
        row = _found(await _RAW.first(tx, _ONE, tx.tenant_id, request.channel_id, request.event_id))
        body = bytes(row.body).decode("utf-8", "replace")
        return _resource(row).model_copy(update={"body": body})

    async def replay(self, tx: Transaction, request: ReplayRawEvent, call: Call) -> RawEvent:
        """Read one anew; NotFoundError."""
        channel = await channels.find(tx, request.channel_id)
        row = _found(
            await _RAW.first(tx, _ONE_LOCKED, tx.tenant_id, request.channel_id, request.event_id)
        )
        if row.replayed_at is not None:
            return _resource(row)
        (row,) = await self._replay(tx, channel, [row], call)
        return _resource(row)

    async def replay_range(self, tx: Transaction, request: ReplayRawEvents, call: Call) -> Replayed:
        """Read some anew, oldest first; NotFoundError when there is no such channel."""
        channel = await channels.find(tx, request.channel_id)
        rows = await _RAW.find(
            tx,
            _SOME_LOCKED,
            *(tx.tenant_id, request.channel_id),
            *(request.received_from, request.received_before),
            *(request.outcome, request.limit + 1),
        )
        after = await self._replay(tx, channel, rows[: request.limit], call)
        replayed = sum(row.replayed_at is not None for row in after)
        more = rows[request.limit].received_at if len(rows) > request.limit else None
        return Replayed(replayed=replayed, kept=len(after) - replayed, next_from=more)

    async def _replay(
        self, tx: Transaction, channel: ChannelRow, rows: Sequence[models.RawEvent], call: Call
    ) -> Sequence[models.RawEvent]:
        cause = Cause(call.correlation_id)
        events = [
            Incoming(
                row.id,
                row.tenant_id,
                WahaEvent(row.channel_id, row.event, row.received_at, bytes(row.body)),
                {},
                cause,
            )
            for row in rows
        ]
        now = datetime.now(UTC)
        outcomes = await self._inbox.replay(tx, channel, events)
        after = [
            row.model_copy(
                update={"outcome": kept.outcome, "reason": kept.reason}
                if kept
                else {"replayed_at": now}
            )
            for row, kept in zip(rows, outcomes, strict=True)
        ]
        await _RAW.update(tx, after, "outcome", "reason", "replayed_at")
        return after


def _found(row: models.RawEvent | None) -> models.RawEvent:
    if row is None:
        raise NotFoundError("raw_event")
    return row


def _resource(row: models.RawEvent) -> RawEvent:
    return RawEvent.model_validate({name: getattr(row, name) for name in _SHOWN})
