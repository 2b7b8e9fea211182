"""Telling bulk sends who is on a list, a page at a time (docs/adr/0031)."""

from collections.abc import Sequence

from service_kit.database import Transaction
from service_kit.errors import ProblemError
from service_kit.incoming import Event
from shared_events.contacts.contact_list import ListListed
from shared_events.contacts.list_page import PAGE_CONTACTS, ContactListRead
from shared_events.jobs import Failure
from shared_events.messaging.bulk_send import BulkRecipientsWanted

from crm_contacts.contact_lists import members


async def on_recipients_wanted(
    tx: Transaction, events: Sequence[Event[BulkRecipientsWanted]]
) -> None:
    """Tell the page each asks for, or why there is none."""
    for event in events:
        page = await _page(tx, event.data)
        tx.outbox.add(page, page.bulk_send_id, cause=event.cause)


async def _page(tx: Transaction, wanted: BulkRecipientsWanted) -> ContactListRead:
    page = ContactListRead(bulk_send_id=wanted.bulk_send_id, cursor=wanted.cursor)
    request = ListListed.model_construct(
        list_id=wanted.list_id, limit=PAGE_CONTACTS, cursor=wanted.cursor, offset=0
    )
    await tx.execute("SAVEPOINT page")
    try:
        contact_ids, next_cursor = await members.read_ids(tx, request)
    except ProblemError as error:
        await tx.execute("ROLLBACK TO SAVEPOINT page")  # a filter that takes too long ends no more
        why = Failure(code=error.problem.code, detail=error.problem.detail)
        return page.model_copy(update={"failure": why})
    return page.model_copy(update={"contact_ids": contact_ids, "next_cursor": next_cursor})
