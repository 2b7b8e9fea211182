"""Who is on the list of a bulk send: contacts tells it, page by page, as it is asked."""

from collections.abc import Callable, Sequence
from typing import Any

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.jobs.states import ENDED, QUEUED, RUNNING, failure
from shared_events.contacts.list_page import ContactListRead
from shared_events.messaging.bulk_send import MAX_RECIPIENTS, BulkRecipientsWanted

from crm_messaging.bulk_sends import progress, repository
from crm_messaging.bulk_sends.models import BulkSendRow


async def ask(tx: Transaction, job: BulkSendRow, cursor: str | None) -> dict[str, Any]:
    """Ask for a page of the list; returns the columns that change."""
    if job.list_id is None:
        raise LookupError("a bulk send without a list")
    wanted = BulkRecipientsWanted(bulk_send_id=job.id, list_id=job.list_id, cursor=cursor)
    tx.outbox.add(wanted, job.id, tenant_id=job.tenant_id)
    return {"asked": True, "cursor": cursor}


class Gathering:
    """Hears who is on lists; `wake` is called when there is somebody to write to."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    async def on_page(self, tx: Transaction, events: Sequence[Event[ContactListRead]]) -> None:
        """Note who is on a page, and ask for the next; what was not asked for means nothing."""
        for event in sorted(events, key=lambda e: (e.tenant_id, e.data.bulk_send_id)):
            page = event.data
            job = await repository.SENDS.lock(tx, page.bulk_send_id, tenant_id=event.tenant_id)
            if job is None or job.state in ENDED or job.total is not None:
                continue
            if (job.asked, job.cursor) != (True, page.cursor):
                continue
            await progress.save(tx, job, await _taken(tx, job, page))
        tx.after_commit(self._wake)


async def _taken(tx: Transaction, job: BulkSendRow, page: ContactListRead) -> dict[str, Any]:
    if page.failure is not None:
        return failure(page.failure.code, page.failure.detail)
    if await repository.add_recipients(tx, job, page.contact_ids) > MAX_RECIPIENTS:
        detail = f"A bulk send goes to {MAX_RECIPIENTS:,} contacts at most."
        return failure("too_many_recipients", detail)
    if page.next_cursor is not None:
        return await ask(tx, job, page.next_cursor)
    total = await repository.count_recipients(tx, job)
    begun = {"state": RUNNING} if job.state == QUEUED else {}
    return {"total": total, "asked": False, "cursor": None, **begun}
