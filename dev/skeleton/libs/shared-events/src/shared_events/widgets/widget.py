"""Widgets."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, ListQuery, Query


class Widget(Contract):
    """A widget as customers see it."""

    id: UUID
    name: bounds.Name
    version: int
    created_at: datetime
    updated_at: datetime


class CreateWidget(Command[Widget], key="widgets.widget.create"):
    """Make a widget."""

    name: str = Field(min_length=1, max_length=255)


class GetWidget(Query[Widget], key="widgets.widget.get"):
    """Read one widget."""

    widget_id: UUID


class ListWidgets(ListQuery[Widget], key="widgets.widget.list"):
    """All widgets, newest first."""


class WidgetCreated(EventData, type="widget.created", aggregate="widget", public=True):
    """A widget was made."""

    widget: Widget
