"""Labels are known from what is told of them, and from chats that have one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service_kit.cause import Cause
from service_kit.database import Transaction
from shared_events.channels.label import ChannelLabelChanged, Label
from shared_events.messaging.summaries import ChannelSummary

from crm_channels_waha.channels.repository import ChannelKey
from crm_channels_waha.labels import repository
from crm_channels_waha.labels.repository import LabelKey
from crm_channels_waha.labels.telling import changed_by, is_news, shown
from crm_channels_waha.waha.meaning import (
    Labelled,
    LabelTold,
    SessionReport,
    Translation,
)

_WORKING = "WORKING"


@dataclass(frozen=True, slots=True)
class News:
    """What is told of a label of a channel; None where nothing but that there is one."""

    channel: ChannelKey
    label_id: str
    told: LabelTold | None
    cause: Cause | None = None

    @property
    def key(self) -> LabelKey:
        """The label's."""
        return (*self.channel, self.label_id)


async def note(
    tx: Transaction,
    said: Sequence[tuple[ChannelKey, Translation, Cause]],
    names: Mapping[ChannelKey, str],
) -> dict[LabelKey, Label]:
    """Learn of labels what events tell; each of those as it is by now.

    Where a session has come to work, all of its labels are read: nobody tells of old ones.
    """
    started = {
        channel
        for channel, meaning, _ in said
        if isinstance(meaning, SessionReport) and meaning.waha_status == _WORKING
    }
    await repository.want(tx, started)
    return await learn(tx, [news for one in said if (news := _news(*one))], names)


def _news(channel: ChannelKey, meaning: Translation, cause: Cause) -> News | None:
    match meaning:
        case LabelTold(label):
            return News(channel, label.id, meaning, cause)
        case Labelled(report, _):
            label = report.label
            named = LabelTold(label, report.told_at) if label.name else None
            return News(channel, label.id, named, cause)
    return None


async def learn(
    tx: Transaction, news: Sequence[News], names: Mapping[ChannelKey, str]
) -> dict[LabelKey, Label]:
    """Let labels be what was told of them last, and say so; each as it is by now.

    Channels that have some of which nothing but the id is known are asked. `names` are theirs.
    """
    if not news:
        return {}
    before = await repository.lock(tx, {one.key for one in news})
    after, causes = dict(before), dict[LabelKey, Cause | None]()
    told = [(one, one.told) for one in news if one.told is not None]
    for one, label in sorted(told, key=lambda each: each[1].at):
        after[one.key] = changed_by(after[one.key], label)
        causes[one.key] = one.cause
    changed = {key: row for key, row in after.items() if row is not before[key]}
    await repository.save(tx, changed.values())
    for key, row in changed.items():
        if row.told_at is not None and is_news(before[key], row):
            tenant_id, channel_id, _ = key
            event = ChannelLabelChanged(
                channel=ChannelSummary(id=channel_id, name=names[tenant_id, channel_id]),
                label=shown(row),
                deleted=row.deleted,
                told_at=row.told_at,
            )
            tx.outbox.add(event, channel_id, tenant_id=tenant_id, cause=causes[key])
    await repository.want(tx, {(t, c) for (t, c, _), row in after.items() if row.told_at is None})
    return {key: shown(row) for key, row in after.items()}
