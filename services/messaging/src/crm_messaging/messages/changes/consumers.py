"""What channels report of messages that were changed on WhatsApp."""

from collections.abc import Sequence

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.text import without_nul
from shared_events.channels.traffic import (
    ChannelChangeFailed,
    ChannelMessageEdited,
    ChannelReactionReported,
    ChannelVoteReported,
    Person,
)
from shared_events.identity import WhatsAppId

from crm_messaging.messages import repository as messages
from crm_messaging.messages.changes.applying import Reported, apply_or_park
from crm_messaging.messages.changes.changing import Changing
from crm_messaging.messages.changes.edits import Edit
from crm_messaging.messages.changes.reactions import Reacted
from crm_messaging.messages.changes.votes import Voted


async def on_message_edited(tx: Transaction, events: Sequence[Event[ChannelMessageEdited]]) -> None:
    """Texts that were replaced: the earlier are kept as versions, and only their author may."""
    await apply_or_park(tx, [_reported(event, edit_of(event.data)) for event in events])


def edit_of(data: ChannelMessageEdited) -> Edit:
    """What is told of an edit, as it is applied."""
    content = without_nul(data.content)
    return Edit(data.edit_id, data.edited_at, content, data.from_us, _shown(data.person))


async def on_reaction_reported(
    tx: Transaction, events: Sequence[Event[ChannelReactionReported]]
) -> None:
    """Emojis that somebody put on a message or took away; the newest of each person counts."""
    await apply_or_park(tx, [_reported(event, reaction_of(event.data)) for event in events])


async def on_vote_reported(tx: Transaction, events: Sequence[Event[ChannelVoteReported]]) -> None:
    """What people choose of polls; the newest of each counts, and an empty one withdraws."""
    await apply_or_park(tx, [_reported(event, _voted(event.data)) for event in events])


def _reported(
    event: Event[ChannelMessageEdited]
    | Event[ChannelReactionReported]
    | Event[ChannelVoteReported],
    change: Edit | Reacted | Voted,
) -> Reported:
    data = event.data
    return Reported((event.tenant_id, data.channel_id, data.external_id), change, event.cause)


async def on_change_failed(tx: Transaction, events: Sequence[Event[ChannelChangeFailed]]) -> None:
    """Changes of ours that WhatsApp did not take: messages are as they were before."""
    ours = await messages.lock(tx, [(e.tenant_id, e.data.message_id) for e in events])
    changing = await Changing.of(tx, ours.values(), edits=True, reactions=True)
    for event in events:
        if (stored := ours.get(event.data.message_id)) is not None:
            changing.undo(stored, event.data, event.cause)
    await changing.save()


def reaction_of(data: ChannelReactionReported) -> Reacted:
    """What is told of a reaction, as it is applied."""
    emoji = without_nul(data.emoji)
    return Reacted(emoji, data.reacted_at, data.from_us, _shown(data.person))


def _voted(data: ChannelVoteReported) -> Voted:
    options = tuple(without_nul(option) for option in data.options)
    return Voted(options, data.voted_at, data.from_us, _shown(data.person))


def _shown(person: Person) -> tuple[WhatsAppId, ...]:
    return tuple(WhatsAppId(one.kind, one.value) for one in person.identities)
