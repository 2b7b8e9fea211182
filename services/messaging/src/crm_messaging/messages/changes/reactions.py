"""Reactions to messages. Nothing here does I/O.

The newest of each person counts, and one that was taken away is kept as empty: an older may come
late.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from shared_events.identity import WhatsAppId
from shared_events.messaging.message import Reaction

from crm_messaging.messages.changes.senders import by_whom, participant_of


@dataclass(frozen=True, slots=True)
class Reacted:
    """Somebody's emoji for a message, empty to take it away; `author` is who in the chat it was.

    `agent_id` is who of the company, where that is known, and `change_id` the request of theirs.
    """

    emoji: str
    at: datetime
    from_us: bool
    author: tuple[WhatsAppId, ...] = ()
    agent_id: UUID | None = None
    change_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose reaction is what; `before` is the emoji that one of an agent's took the place of."""

    sender: str
    reaction: Reaction
    change_id: UUID | None = None
    before: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What stands afterwards; `told`: it is not what was shown before."""

    standing: Standing
    told: bool


def react(reacted: Reacted, current: Standing | None, sender: str) -> Outcome | None:
    """Let a reaction take the place of the same person's; None when it is older, or known."""
    if current is not None and current.reaction.at > reacted.at:
        return None
    before = current.reaction.emoji if current else ""
    if current is not None and (before, current.reaction.at) == (reacted.emoji, reacted.at):
        return None
    if current is not None and before == reacted.emoji and reacted.change_id is None:
        again = current.reaction.model_copy(update={"at": reacted.at})  # whose it was, it stays
        return Outcome(replace(current, reaction=again), told=False)
    reaction = Reaction(
        emoji=reacted.emoji,
        by=by_whom(from_us=reacted.from_us, asked=reacted.change_id is not None),
        agent_id=reacted.agent_id,
        participant=participant_of(sender),
        at=reacted.at,
    )
    told = before != reacted.emoji
    return Outcome(Standing(sender, reaction, reacted.change_id, before), told)


def shown(standings: Iterable[Standing]) -> list[Reaction]:
    """The reactions a message has, the oldest first."""
    ordered = sorted(standings, key=lambda one: (one.reaction.at, one.sender))
    return [one.reaction for one in ordered if one.reaction.emoji]
