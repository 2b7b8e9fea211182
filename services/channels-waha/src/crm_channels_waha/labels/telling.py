"""What is told of labels, out of what is known of them. Nothing here does I/O."""

from shared_events.channels.label import Label

from crm_channels_waha.labels.models import LabelRow
from crm_channels_waha.waha.meaning import LabelTold


def shown(row: LabelRow) -> Label:
    """A label as others see it."""
    return Label(id=row.label_id, name=row.name, color=row.color)


def changed_by(row: LabelRow, news: LabelTold) -> LabelRow:
    """The label after this; itself where something newer was told of it before.

    A name or colour that is not told stays: engines leave out of a deletion what it was called.
    """
    if row.told_at is not None and news.at < row.told_at:
        return row
    return row.model_copy(
        update={
            "name": news.label.name or row.name,
            "color": news.label.color or row.color,
            "deleted": news.deleted,
            "told_at": news.at,
        }
    )


def is_news(before: LabelRow, after: LabelRow) -> bool:
    """Whether a label is another than it was for those who see it."""
    was_there = before.told_at is not None and not before.deleted
    is_there = not after.deleted
    return was_there != is_there or (is_there and shown(before) != shown(after))
