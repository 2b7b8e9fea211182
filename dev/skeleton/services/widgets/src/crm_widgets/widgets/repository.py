"""Widgets in the database."""

from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.requests import Page
from shared_events.widgets.widget import ListWidgets, Widget
from sqlmodel import select

from crm_widgets.widgets.models import WidgetRow

_WIDGETS = Rows(WidgetRow)
_C = _WIDGETS.table.c
_NEWEST_FIRST = Order("widgets", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)


async def insert(tx: Transaction, name: str) -> Widget:
    """A new widget."""
    row = WidgetRow(id=uuid7(), tenant_id=tx.tenant_id, name=name)
    await _WIDGETS.insert(tx, [row])
    return await get(tx, row.id)


async def get(tx: Transaction, widget_id: UUID) -> Widget:
    """One widget; raises NotFoundError."""
    row = await _WIDGETS.first(tx, select(WidgetRow).where(WidgetRow.id == widget_id))
    if row is None:
        raise NotFoundError("widget")
    return _widget(row)


async def page(tx: Transaction, request: ListWidgets) -> Page[Widget]:
    """A page of widgets, newest first."""
    return await _NEWEST_FIRST.page(tx, select(WidgetRow), request, _WIDGETS, _widget)


def _widget(row: WidgetRow) -> Widget:
    return Widget.model_validate(row, from_attributes=True)
