"""Changes of bulk sends: states, versions, and what is told of them. The caller commits."""

from datetime import UTC, datetime
from typing import Any

from service_kit.database import Transaction
from service_kit.jobs.states import is_news, stamps
from shared_events.messaging.bulk_send import BulkSend, BulkSendProgressed

from crm_messaging.bulk_sends import repository
from crm_messaging.bulk_sends.models import BulkSendRow

_SHOWN = tuple(name for name in BulkSend.model_fields if name != "failure")


def resource(job: BulkSendRow) -> BulkSend:
    """A bulk send as customers see it."""
    shown = {name: getattr(job, name) for name in _SHOWN}
    return BulkSend.model_validate({**shown, "failure": job.failure or None})


async def save(tx: Transaction, before: BulkSendRow, changes: dict[str, Any]) -> BulkSendRow:
    """Write a bulk send, whose lock the caller holds, with these changes.

    It is told of when its state changed or another tenth of it is done.
    """
    after = before.model_copy(update=changes)
    after = after.model_copy(update=stamps(before, after))
    if after.send_at is not None and after.send_at > datetime.now(UTC):
        after = after.model_copy(update={"due_at": after.send_at})
    await repository.SENDS.update(tx, after)
    if is_news(before, after):
        tell(tx, after)
    return after


def tell(tx: Transaction, job: BulkSendRow) -> None:
    """Tell how far it is."""
    told = BulkSendProgressed(job=resource(job))
    tx.outbox.add(told, job.id, tenant_id=job.tenant_id)
