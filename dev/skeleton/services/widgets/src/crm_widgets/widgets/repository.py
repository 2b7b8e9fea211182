"""Widgets in the database."""

from uuid import UUID

from asyncpg import Record
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from service_kit.paging import Order
from shared_events.requests import Page
from shared_events.widgets.widget import ListWidgets, Widget
from sqlalchemy import select

from crm_widgets.widgets.models import TABLE

_NEWEST_FIRST = Order("widgets", [(TABLE.c.id, UUID)], tenant=TABLE.c.tenant_id, descending=True)


async def insert(tx: Transaction, name: str) -> Widget:
    """A new widget."""
    (row,) = await tx.fetch(
        "INSERT INTO widgets (id, tenant_id, name) VALUES ($1, $2, $3) RETURNING *",
        uuid7(),
        tx.tenant_id,
        name,
    )
    return _widget(row)


async def get(tx: Transaction, widget_id: UUID) -> Widget:
    """One widget; raises NotFoundError."""
    row = await tx.fetchrow("SELECT * FROM widgets WHERE id = $1", widget_id)
    if row is None:
        raise NotFoundError("widget")
    return _widget(row)


async def page(tx: Transaction, request: ListWidgets) -> Page[Widget]:
    """A page of widgets, newest first."""
    return await _NEWEST_FIRST.page(tx, select(TABLE), request, _widget)


def _widget(row: Record) -> Widget:
    return Widget.model_validate(dict(row))
