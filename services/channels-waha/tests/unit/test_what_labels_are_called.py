"""What is known of a label, after what was told of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from crm_channels_waha.labels.models import LabelRow
from crm_channels_waha.labels.telling import changed_by, is_news, shown
from crm_channels_waha.waha.meaning import LabelTold
from shared_events.channels.label import Label

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BLANK = LabelRow(tenant_id="t", channel_id=UUID(int=1), label_id="6")


def told(
    seconds: float, name: str | None = "Novo", color: str | None = "#64c4ff", gone: bool = False
) -> LabelTold:
    return LabelTold(Label(id="6", name=name, color=color), AT + timedelta(seconds=seconds), gone)


def test_newest_counts_in_whatever_order_it_comes() -> None:
    orders = (
        [told(1), told(2, "Pago"), told(3, gone=True)],
        [told(3, gone=True), told(2), told(1)],
    )
    for order in orders:
        row = BLANK
        for one in order:
            row = changed_by(row, one)
        assert row.deleted
        assert row.told_at == AT + timedelta(seconds=3)


def test_of_two_told_at_the_same_time_the_later_counts() -> None:
    assert changed_by(changed_by(BLANK, told(1)), told(1, "Pago")).name == "Pago"


def test_what_comes_late_changes_nothing() -> None:
    row = changed_by(BLANK, told(2))
    assert changed_by(row, told(1, "Antigo")) is row


def test_what_is_not_told_stays() -> None:
    row = changed_by(changed_by(BLANK, told(1)), told(2, None, None, gone=True))
    assert shown(row) == Label(id="6", name="Novo", color="#64c4ff")


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (None, told(1), True),
        (None, told(1, gone=True), False),
        (told(1), told(2), False),
        (told(1), told(2, "Pago"), True),
        (told(1), told(2, color="#ff9485"), True),
        (told(1), told(2, gone=True), True),
        (told(1, gone=True), told(2, "Pago", gone=True), False),
        (told(1, gone=True), told(2), True),
    ],
)
def test_is_news_where_somebody_sees_it(
    before: LabelTold | None, after: LabelTold, news: bool
) -> None:
    row = changed_by(BLANK, before) if before else BLANK
    assert is_news(row, changed_by(row, after)) is news
