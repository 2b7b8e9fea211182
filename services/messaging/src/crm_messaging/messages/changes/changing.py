"""Messages changing within one transaction, each change told of as it happens."""

from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog
from service_kit.cause import Cause
from service_kit.database import Transaction
from shared_events.channels.traffic import ChannelChangeFailed
from shared_events.messaging.message import (
    MessageChangeFailed,
    MessageEdited,
    MessageEvent,
    MessageReactionChanged,
    MessageVoted,
    Reaction,
)
from shared_events.messaging.poll import Vote

from crm_messaging.messages.changes import repository
from crm_messaging.messages.changes.edits import Edit, Version, edited
from crm_messaging.messages.changes.reactions import Reacted, Standing, react, shown
from crm_messaging.messages.changes.senders import US, sender_of
from crm_messaging.messages.changes.votes import Voted, vote
from crm_messaging.messages.polls import result
from crm_messaging.messages.repository import Said, Stored

log = structlog.get_logger()

OUTCOME_UNKNOWN = "outcome_unknown"
"""Nobody knows whether WhatsApp has it: the change stays as it was shown."""


class Changing:
    """Messages whose locks are held, with what they said, the reactions and votes on them."""

    def __init__(
        self,
        tx: Transaction,
        versions: dict[UUID, list[Version]],
        reactions: dict[UUID, dict[str, Standing]],
        votes: dict[UUID, dict[str, Vote]],
        *,
        quiet: bool = False,
    ) -> None:
        self._tx = tx
        self._quiet = quiet
        self._versions = versions
        self._reactions = reactions
        self._votes = votes
        self._now: dict[UUID, Stored] = {}
        self._added: list[tuple[Said, Version]] = []
        self._removed: list[tuple[Said, Version]] = []
        self._standing: dict[tuple[UUID, str], tuple[Said, Standing]] = {}
        self._voted: dict[tuple[UUID, str], tuple[Said, str, Vote]] = {}

    @classmethod
    async def of(
        cls,
        tx: Transaction,
        ours: Iterable[Stored],
        *,
        edits: bool = False,
        reactions: bool = False,
        votes: bool = False,
        quiet: bool = False,
    ) -> "Changing":
        """Messages that are going to be edited, reacted to or voted on, with what it needs.

        `quiet`: nobody is told.
        """
        ids = [(stored.tenant_id, stored.message.id) for stored in ours]
        return cls(
            tx,
            await repository.versions_of(tx, ids) if edits else {},
            await repository.reactions_of(tx, ids) if reactions else {},
            await repository.votes_of(tx, ids) if votes else {},
            quiet=quiet,
        )

    def edit(self, stored: Stored, edit: Edit, cause: Cause | None = None) -> Stored:
        """Let a message say something else; returns it as it is now."""
        stored = self._now.get(stored.message.id, stored)
        before = stored.message
        versions = self._versions.setdefault(before.id, [])
        outcome = edited(before, edit, versions)
        if outcome is None:
            return stored
        stored = self._now[before.id] = replace(stored, message=outcome.message)
        versions.extend(outcome.added)
        self._added += [(stored, version) for version in outcome.added]
        if outcome.message.edited_at != before.edited_at:  # else an older edit came late
            self._tell(stored, MessageEdited, cause, previous_content=before.content)
        return stored

    def react(self, stored: Stored, reacted: Reacted, cause: Cause | None = None) -> Stored:
        """Let somebody react to a message; returns it as it is now."""
        stored = self._now.get(stored.message.id, stored)
        message = stored.message
        standings = self._reactions.setdefault(message.id, {})
        sender = _sender(reacted, standings, stored)
        outcome = react(reacted, standings.get(sender), sender)
        if outcome is None:
            return stored
        standings[sender] = outcome.standing
        self._standing[message.id, sender] = stored, outcome.standing
        if outcome.told:
            stored = self._react(stored, outcome.standing.reaction, cause)
        return stored

    def _react(self, stored: Stored, reaction: Reaction, cause: Cause | None) -> Stored:
        reactions = shown(self._reactions[stored.message.id].values())
        now = self._changed(stored, {"reactions": reactions})
        self._tell(now, MessageReactionChanged, cause, reaction=reaction)
        return now

    def vote(self, stored: Stored, voted: Voted, cause: Cause) -> None:
        """Let somebody vote on a poll; one on another message means nothing."""
        stored = self._now.get(stored.message.id, stored)
        message = stored.message
        if message.content_type != "poll":
            log.warning("vote_on_no_poll", message=str(message.id))
            return
        votes = self._votes.setdefault(message.id, {})
        sender = _sender(voted, votes, stored)
        before = votes.get(sender)
        now = vote(voted, before, sender)
        if now is None:
            return
        votes[sender] = now
        self._voted[message.id, sender] = stored, sender, now
        if now.options != (before.options if before else []):
            poll = result(message.metadata, votes.values())
            self._tell(self._changed(stored, {"poll": poll}), MessageVoted, cause, vote=now)

    def _changed(self, stored: Stored, changes: dict[str, object]) -> Stored:
        message = stored.message
        counted = {"version": message.version + 1, "updated_at": datetime.now(UTC)}
        now = replace(stored, message=message.model_copy(update={**changes, **counted}))
        self._now[message.id] = now
        return now

    def undo(self, stored: Stored, failed: ChannelChangeFailed, cause: Cause | None) -> None:
        """Let a message be as it was before a change of ours that failed, and say so."""
        stored = self._now.get(stored.message.id, stored)
        before = {} if failed.code == OUTCOME_UNKNOWN else self._before(stored, failed)
        if before is None:
            return  # something else took its place, or it was undone already
        stored = self._changed(stored, before)
        said = {"change": failed.change, "code": failed.code, "reason": failed.reason}
        self._tell(stored, MessageChangeFailed, cause, **said)

    def _before(self, stored: Stored, failed: ChannelChangeFailed) -> dict[str, object] | None:
        message, change_id = stored.message, failed.change_id
        if failed.change == "revoke":
            return {"revoked_at": None} if message.revoked_at else None
        if failed.change == "edit":
            versions = self._versions.get(message.id, [])
            gone = [version for version in versions if version.edit_id == str(change_id)]
            if not gone:
                return None
            left = sorted(version for version in versions if version not in gone)
            self._versions[message.id] = left
            self._removed += [(stored, version) for version in gone]
            edited_at = left[-1].since if len(left) > 1 else None
            return {"content": left[-1].content, "edited_at": edited_at}
        standings = self._reactions.get(message.id, {})
        ours = standings.get(US)
        if ours is None or ours.change_id != change_id:
            return None
        reaction = ours.reaction.model_copy(update={"emoji": ours.before})
        standings[US] = restored = Standing(US, reaction)
        self._standing[message.id, US] = stored, restored
        return {"reactions": shown(standings.values())}

    def _tell(
        self, stored: Stored, event: type[MessageEvent], cause: Cause | None, **said: object
    ) -> None:
        if self._quiet:
            return
        around = stored.conversation
        data = event(
            message=stored.message,
            contact=around.contact,
            session=around.session,
            channel=around.channel,
            **said,
        )
        self._tx.outbox.add(data, around.session.id, tenant_id=stored.tenant_id, cause=cause)

    async def save(self) -> None:
        """Store what the messages say now, what they said, the reactions and votes on them."""
        if self._now:
            await repository.save(self._tx, self._now.values())
        if self._added:
            await repository.add_versions(self._tx, self._added)
        if self._removed:
            await repository.remove_versions(self._tx, self._removed)
        if self._standing:
            await repository.save_reactions(self._tx, list(self._standing.values()))
        if self._voted:
            await repository.save_votes(self._tx, list(self._voted.values()))


def _sender(act: Reacted | Voted, known: Container[str], stored: Stored) -> str:
    return sender_of(act.author, known, from_us=act.from_us, in_group=stored.in_group)
