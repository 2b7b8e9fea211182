"""Requests from the gateway: what customers typed, checked and carried out."""

from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.requests import Page
from shared_events.widgets.widget import (
    CreateWidget,
    GetWidget,
    ListWidgets,
    Widget,
    WidgetCreated,
)

from crm_widgets.widgets import repository


async def create(tx: Transaction, request: CreateWidget, call: Call) -> Widget:
    """Make a widget, and tell of it."""
    del call
    widget = await repository.insert(tx, request.name)
    tx.outbox.add(WidgetCreated(widget=widget), widget.id)
    return widget


async def get(tx: Transaction, request: GetWidget, call: Call) -> Widget:
    """Read one widget."""
    del call
    return await repository.get(tx, request.widget_id)


async def list_widgets(tx: Transaction, request: ListWidgets, call: Call) -> Page[Widget]:
    """Find widgets."""
    del call
    return await repository.page(tx, request)
