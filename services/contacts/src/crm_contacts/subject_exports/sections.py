"""What contacts keeps about a person, file by file and a page at a time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.contacts.note import ListContactNotes
from shared_events.contacts.opt_out import ListOptOuts
from shared_events.contacts.pipeline import ListStays
from shared_events.contacts.subject_export import SubjectFile
from shared_events.contacts.timeline import ListTimeline
from shared_events.contacts.tracking import ListTrackings
from shared_events.requests import Principal

from crm_contacts.contact_lists import repository as lists
from crm_contacts.contacts import repository as contacts
from crm_contacts.notes import repository as notes
from crm_contacts.opt_outs import repository as opt_outs
from crm_contacts.pipelines import moves
from crm_contacts.timeline import requests as timeline
from crm_contacts.trackings import requests as trackings

Entries = tuple[Sequence[BaseModel], str | None]
"""Some of what is kept about a contact, and where it goes on."""

_Section = Callable[[Transaction, UUID, dict[str, Any]], Awaitable[Entries]]

_AT_ONCE = 100
_COUNT = """
SELECT 1 + (SELECT count(*) FROM notes WHERE tenant_id = $1 AND contact_id = $2)
    + (SELECT count(*) FROM contact_events WHERE tenant_id = $1 AND contact_id = $2)
    + (SELECT count(*) FROM trackings WHERE tenant_id = $1 AND contact_id = $2)
    + (SELECT count(*) FROM contact_pipeline_statuses WHERE tenant_id = $1 AND contact_id = $2)
    + (SELECT count(*) FROM contact_list_members WHERE tenant_id = $1 AND contact_id = $2)
    + (SELECT count(*) FROM contact_opt_outs WHERE tenant_id = $1 AND contact_id = $2)
"""


async def count(tx: Transaction, contact_id: UUID) -> int:
    """How many entries there are about a contact, but for those of who was merged into it."""
    found: int = await tx.fetchval(_COUNT, tx.tenant_id, contact_id)
    return found


async def read(tx: Transaction, file: SubjectFile, contact_id: UUID, cursor: str | None) -> Entries:
    """The entries of a file behind this cursor, as the routes that show them find them."""
    return await _SECTIONS[file](tx, contact_id, {"limit": _AT_ONCE, "cursor": cursor})


async def _contact(tx: Transaction, contact_id: UUID, at: dict[str, Any]) -> Entries:
    del at
    return await contacts.to_resources(tx, [await contacts.get_live(tx, contact_id)]), None


async def _notes(tx: Transaction, contact_id: UUID, at: dict[str, Any]) -> Entries:
    page = await notes.page_of_contact(tx, ListContactNotes(contact_id=contact_id, **at))
    return page.data, page.next_cursor


async def _timeline(tx: Transaction, contact_id: UUID, at: dict[str, Any]) -> Entries:
    wanted = ListTimeline(contact_id=contact_id, **at)
    page = await timeline.list_of_contact(tx, wanted, _call(tx))
    return page.data, page.next_cursor


async def _trackings(tx: Transaction, contact_id: UUID, at: dict[str, Any]) -> Entries:
    wanted = ListTrackings(contact_id=contact_id, **at)
    page = await trackings.list_of_contact(tx, wanted, _call(tx))
    return page.data, page.next_cursor


async def _moves(tx: Transaction, contact_id: UUID, at: dict[str, Any]) -> Entries:
    page = await moves.page(tx, ListStays(contact_id=contact_id, **at))
    return page.data, page.next_cursor


async def _lists(tx: Transaction, contact_id: UUID, at: dict[str, Any]) -> Entries:
    del at
    return await lists.of_contact(tx, contact_id), None


async def _opt_outs(tx: Transaction, contact_id: UUID, at: dict[str, Any]) -> Entries:
    page = await opt_outs.page(tx, ListOptOuts(contact_id=contact_id, **at))
    return page.data, page.next_cursor


_SECTIONS: dict[SubjectFile, _Section] = {
    "contact": _contact,
    "notes": _notes,
    "timeline": _timeline,
    "trackings": _trackings,
    "moves": _moves,
    "lists": _lists,
    "opt_outs": _opt_outs,
}

FILES = tuple(_SECTIONS)
"""In the order they are gathered."""


def _call(tx: Transaction) -> Call:
    return Call(Principal(tenant_id=tx.tenant_id), "")
