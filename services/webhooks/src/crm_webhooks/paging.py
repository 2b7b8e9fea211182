"""Keyset paging: a cursor is opaque, bound to its list, and names the last row that was seen."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from service_kit.errors import MalformedError
from shared_events.envelope import Contract
from shared_events.requests.base import Page

Row = TypeVar("Row")
Item = TypeVar("Item", bound=Contract)
Value = TypeVar("Value")


def after(cursor: str | None, order: str, read: Callable[[str], Value]) -> Value | None:
    """What the cursor of the list `order` names; raises MalformedError for any other text."""
    if cursor is None:
        return None
    try:
        found, _, value = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        if found != order:
            raise ValueError(found)
        return read(value)
    except (binascii.Error, ValueError):
        raise MalformedError("invalid_cursor", "The cursor is not one of this list.") from None


def page(
    rows: Sequence[Row],
    limit: int,
    order: str,
    place: Callable[[Row], object],
    item: Callable[[Row], Item],
) -> Page[Item]:
    """A page from `limit` + 1 rows; `place` is what `after` reads back, `item` what is shown."""
    has_more = len(rows) > limit
    shown = rows[:limit]
    cursor = base64.urlsafe_b64encode(f"{order}:{place(shown[-1])}".encode()) if has_more else b""
    return Page[Item](
        data=[item(row) for row in shown],
        has_more=has_more,
        next_cursor=cursor.decode() or None,
    )
