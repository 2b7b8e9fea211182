"""SQL of what became of messages, many at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast
from uuid import UUID

import orjson
from service_kit.database import Transaction
from service_kit.rows import Rows
from shared_events.identity import IdentityKind, WhatsAppId
from shared_events.messaging.message import Reaction
from shared_events.messaging.poll import Vote

from crm_messaging.messages.changes.edits import Edit, Version
from crm_messaging.messages.changes.models import (
    MessageReaction,
    MessageVersion,
    MessageVote,
    ParkedChange,
)
from crm_messaging.messages.changes.reactions import Reacted, Standing
from crm_messaging.messages.changes.senders import US
from crm_messaging.messages.changes.votes import Voted
from crm_messaging.messages.repository import MESSAGES, MessageKey, Said, row_of

# LATERAL with a LIMIT: one look into an index per message (docs/adr/0017). Nobody edits a message
# a hundred times; what was parked by somebody who tries stays parked, and goes with age.
_VERSIONS = """
SELECT v.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, message_id)
CROSS JOIN LATERAL (SELECT * FROM message_versions
    WHERE message_id = k.message_id AND tenant_id = k.tenant_id
    ORDER BY since, edit_id LIMIT 1000) AS v
"""
_REMOVE_VERSION = """
DELETE FROM message_versions
WHERE tenant_id = $1 AND message_id = $2 AND since = $3 AND edit_id = $4
"""
_REACTIONS = """
SELECT r.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, message_id)
CROSS JOIN LATERAL (SELECT * FROM message_reactions
    WHERE message_id = k.message_id AND tenant_id = k.tenant_id
    ORDER BY sender LIMIT 2000) AS r
"""
_VOTES = """
SELECT v.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, message_id)
CROSS JOIN LATERAL (SELECT * FROM message_votes
    WHERE message_id = k.message_id AND tenant_id = k.tenant_id
    ORDER BY sender LIMIT 2000) AS v
"""
_PARKED = """
SELECT p.* FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, channel_id, external_id)
CROSS JOIN LATERAL (SELECT * FROM parked_changes
    WHERE channel_id = k.channel_id AND external_id = k.external_id AND tenant_id = k.tenant_id
    LIMIT 100) AS p
"""
_UNPARK = "DELETE FROM parked_changes WHERE tenant_id = ANY($1::text[]) AND id = ANY($2::bigint[])"
VERSIONS = Rows(MessageVersion)
REACTIONS = Rows(MessageReaction)
VOTES = Rows(MessageVote)
_PARKED_CHANGES = Rows(ParkedChange)
_STANDING = (*("emoji", "by", "agent_id", "participant", "change_id", "before", "reacted_at"),)
_CHANGED = ("content", "edited_at", "revoked_at", "version", "updated_at")


async def save(tx: Transaction, messages: Iterable[Said]) -> None:
    """Store what messages say now; their locks are held."""
    await MESSAGES.update(tx, map(row_of, messages), *_CHANGED)


async def versions_of(
    tx: Transaction, messages: Iterable[tuple[str, UUID]]
) -> dict[UUID, list[Version]]:
    """What these messages, by tenant and our id, said so far; nothing of those never edited."""
    wanted = sorted(set(messages))
    found: dict[UUID, list[Version]] = {}
    rows = await VERSIONS.find(tx, _VERSIONS, [t for t, _ in wanted], [id_ for _, id_ in wanted])
    for row in rows:
        version = Version(row.since, row.edit_id, row.content)
        found.setdefault(row.message_id, []).append(version)
    return found


async def add_versions(tx: Transaction, added: Sequence[tuple[Said, Version]]) -> None:
    """Store versions of messages whose locks are held."""
    rows = [
        MessageVersion.model_construct(
            message_id=said.message.id,
            since=version.since,
            edit_id=version.edit_id,
            tenant_id=said.tenant_id,
            content=version.content,
        )
        for said, version in added
    ]
    await VERSIONS.insert(tx, rows, unless="(message_id, since, edit_id)")


async def remove_versions(tx: Transaction, removed: Sequence[tuple[Said, Version]]) -> None:
    """Forget versions that never came to be."""
    values = [
        (said.tenant_id, said.message.id, version.since, version.edit_id)
        for said, version in removed
    ]
    await tx.connection.executemany(_REMOVE_VERSION, values)


async def reactions_of(
    tx: Transaction, messages: Iterable[tuple[str, UUID]]
) -> dict[UUID, dict[str, Standing]]:
    """The reactions to these messages by sender, those that were taken away among them."""
    wanted = sorted(set(messages))
    found: dict[UUID, dict[str, Standing]] = {}
    rows = await REACTIONS.find(tx, _REACTIONS, [t for t, _ in wanted], [id_ for _, id_ in wanted])
    for row in rows:
        reaction = Reaction(
            emoji=row.emoji,
            by=row.by,
            agent_id=row.agent_id,
            participant=row.participant,
            at=row.reacted_at,
        )
        standing = Standing(row.sender, reaction, row.change_id, row.before)
        found.setdefault(row.message_id, {})[row.sender] = standing
    return found


async def save_reactions(tx: Transaction, standing: Sequence[tuple[Said, Standing]]) -> None:
    """Store reactions to messages whose locks are held."""
    rows = [
        MessageReaction.model_construct(
            message_id=said.message.id,
            sender=one.sender,
            tenant_id=said.tenant_id,
            emoji=one.reaction.emoji,
            by=one.reaction.by,
            agent_id=one.reaction.agent_id,
            participant=one.reaction.participant,
            change_id=one.change_id,
            before=one.before,
            reacted_at=one.reaction.at,
        )
        for said, one in standing
    ]
    await REACTIONS.upsert(tx, rows, *_STANDING)


async def votes_of(
    tx: Transaction, messages: Iterable[tuple[str, UUID]]
) -> dict[UUID, dict[str, Vote]]:
    """The votes on these messages by sender, those that were withdrawn among them."""
    wanted = sorted(set(messages))
    found: dict[UUID, dict[str, Vote]] = {}
    rows = await VOTES.find(tx, _VOTES, [t for t, _ in wanted], [id_ for _, id_ in wanted])
    for row in rows:
        vote = Vote(options=row.options, by=row.by, participant=row.participant, at=row.voted_at)
        found.setdefault(row.message_id, {})[row.sender] = vote
    return found


async def save_votes(tx: Transaction, voted: Sequence[tuple[Said, str, Vote]]) -> None:
    """Store votes, each by its sender, on messages whose locks are held."""
    rows = [
        MessageVote.model_construct(
            message_id=said.message.id,
            sender=sender,
            tenant_id=said.tenant_id,
            options=vote.options,
            by=vote.by,
            participant=vote.participant,
            voted_at=vote.at,
        )
        for said, sender, vote in voted
    ]
    await VOTES.upsert(tx, rows)


async def park(
    tx: Transaction, changes: Sequence[tuple[MessageKey, Edit | Reacted | Voted]]
) -> None:
    """Keep changes until their message comes."""
    rows = [
        ParkedChange.model_construct(
            tenant_id=tenant_id,
            channel_id=channel_id,
            external_id=external_id,
            kind=_KINDS[type(change)],
            change_id=_change_id(change),
            from_us=change.from_us,
            author={identity.kind: identity.value for identity in change.author},
            content=_content(change),
            occurred_at=change.at,
        )
        for (tenant_id, channel_id, external_id), change in changes
    ]
    known = "(channel_id, external_id, kind, change_id, occurred_at)"
    await _PARKED_CHANGES.insert(tx, rows, unless=known)


_KINDS = {Edit: "edit", Reacted: "reaction", Voted: "vote"}


def _content(change: Edit | Reacted | Voted) -> str:
    if isinstance(change, Voted):
        return orjson.dumps(change.options).decode()
    return change.content if isinstance(change, Edit) else change.emoji


def _change_id(change: Edit | Reacted | Voted) -> str:
    if isinstance(change, Edit):
        return change.edit_id
    return US if change.from_us else change.author[0].chat_id


async def take_parked(
    tx: Transaction, keys: Mapping[MessageKey, object]
) -> list[tuple[MessageKey, Edit | Reacted | Voted]]:
    """The changes kept for these messages, in the order they came; they are kept no longer."""
    tenants, channels, external_ids = map(list, zip(*sorted(keys), strict=True))
    rows = await _PARKED_CHANGES.find(tx, _PARKED, tenants, channels, external_ids)
    if not rows:  # as good as always: nothing is deleted on the way of messages
        return []
    await tx.execute(_UNPARK, tenants, [row.id for row in rows])
    return [
        ((row.tenant_id, row.channel_id, row.external_id), _change(row))
        for row in sorted(rows, key=lambda row: row.id or 0)
    ]


def _change(row: ParkedChange) -> Edit | Reacted | Voted:
    author = tuple(WhatsAppId(cast(IdentityKind, k), value) for k, value in row.author.items())
    if row.kind == "reaction":
        return Reacted(row.content, row.occurred_at, row.from_us, author)
    if row.kind == "vote":
        options = tuple(orjson.loads(row.content))
        return Voted(options, row.occurred_at, row.from_us, author)
    return Edit(row.change_id, row.occurred_at, row.content, row.from_us, author)
