"""Applying changes to messages, of many companies at once; those that come early wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from service_kit.cause import Cause
from service_kit.database import Transaction

from crm_messaging.messages import repository as messages
from crm_messaging.messages.changes import repository
from crm_messaging.messages.changes.changing import Changing
from crm_messaging.messages.changes.edits import Edit, is_by_author
from crm_messaging.messages.changes.reactions import Reacted
from crm_messaging.messages.changes.votes import Voted
from crm_messaging.messages.repository import MessageKey, Stored
from crm_messaging.replicas import people

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reported:
    """A change that WhatsApp told of, and what it follows from."""

    key: MessageKey
    change: Edit | Reacted | Voted
    cause: Cause


async def apply_or_park(
    tx: Transaction, reported: Sequence[Reported], *, quiet: bool = False
) -> None:
    """Apply changes; those of messages we do not know yet are kept for them.

    `quiet`: nobody is told, and what is of a message we do not know is of no use.
    """
    ours = await messages.lock_reported(tx, (one.key for one in reported))
    early = [(one.key, one.change) for one in reported if one.key not in ours]
    if early and not quiet:
        await repository.park(tx, early)
    await _apply(tx, [one for one in reported if one.key in ours], ours, quiet=quiet)


async def apply_parked(tx: Transaction, arrived: Mapping[MessageKey, Cause]) -> None:
    """Apply what was kept for messages that are here now."""
    parked = await repository.take_parked(tx, arrived) if arrived else []
    if parked:
        ours = await messages.lock_reported(tx, (key for key, _ in parked))
        reported = [Reported(key, change, arrived[key]) for key, change in parked if key in ours]
        await _apply(tx, reported, ours)


async def _apply(
    tx: Transaction,
    reported: Sequence[Reported],
    ours: Mapping[MessageKey, Stored],
    *,
    quiet: bool = False,
) -> None:
    if not reported:
        return
    edits = [one for one in reported if isinstance(one.change, Edit)]
    senders = [people.Sender(e.key[0], e.change.author, e.change.at) for e in edits]
    authors = await people.whose(tx, senders)
    whose = {id(one): contact_id for one, contact_id in zip(edits, authors, strict=True)}
    kinds = {type(one.change) for one in reported}
    changing = await Changing.of(
        tx,
        ours.values(),
        edits=Edit in kinds,
        reactions=Reacted in kinds,
        votes=Voted in kinds,
        quiet=quiet,
    )
    for one in reported:
        stored, change = ours[one.key], one.change
        if isinstance(change, Reacted):
            changing.react(stored, change, one.cause)
        elif isinstance(change, Voted):
            changing.vote(stored, change, one.cause)
        elif is_by_author(stored.message, stored.chat_id, change, whose[id(one)]):
            changing.edit(stored, change, one.cause)
        else:
            log.warning("edit_by_another", message=str(stored.message.id))
    await changing.save()
