"""Reading what a channel missed while it was deaf or away: an import that nobody asks for."""

from datetime import UTC, datetime, timedelta

from service_kit.database import Transaction
from service_kit.ids import uuid7
from service_kit.jobs.states import QUEUED
from shared_events.channels.history import HistoryProgressed

from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.history import progress, repository
from crm_channels_waha.history.models import HistoryImportRow

_OVERLAP = timedelta(minutes=1)
"""Of one second, or of clocks that differ, some may have been heard and others not."""


async def begin(
    tx: Transaction, channel: ChannelRow, *, since: datetime, settle_seconds: float
) -> bool:
    """Have what was said since then read, once WAHA had so long to catch up by itself.

    False while another import of the channel is at work: worth asking again.
    """
    now = datetime.now(UTC)
    begins = now + timedelta(seconds=settle_seconds)
    job = HistoryImportRow(
        id=uuid7(),
        tenant_id=channel.tenant_id,
        channel_id=channel.id,
        phone=channel.phone,
        state=QUEUED,
        notify=True,
        recovered=True,
        since=since - _OVERLAP,
        until=begins,
        correlation_id=f"recovery-{channel.id}",
        due_at=begins,
        created_at=now,
        updated_at=now,
    )
    if not await repository.insert(tx, job):
        return False
    tx.outbox.add(HistoryProgressed(job=progress.resource(job)), job.id)
    return True
