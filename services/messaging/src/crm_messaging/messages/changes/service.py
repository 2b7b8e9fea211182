"""Changing messages in the company's name: shown at once, and WhatsApp is asked for it.

WhatsApp takes edits for 15 minutes and deletions for everyone for 60 hours (docs/waha.md,
"Changes").
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, NotFoundError, PreconditionFailedError
from service_kit.ids import uuid7
from shared_events.messaging.message import ChangeKind, Message, MessageChangeRequested

from crm_messaging.messages import repository as messages
from crm_messaging.messages.changes.changing import Changing
from crm_messaging.messages.changes.edits import Edit
from crm_messaging.messages.changes.reactions import Reacted
from crm_messaging.messages.content import check_edit
from crm_messaging.messages.events import telling
from crm_messaging.messages.receipts import Receipt, advance
from crm_messaging.messages.repository import Stored

EDIT_WINDOW = timedelta(minutes=15)
REVOKE_WINDOW = timedelta(hours=60)
_AFTER = timedelta(microseconds=1)


async def edit(tx: Transaction, message_id: UUID, content: str, call: Call) -> Message:
    """Replace the text or caption of a message of ours; the same text again changes nothing.

    Raises NotFoundError, PreconditionFailedError, InvalidError for a caption that is too long, and
    ConflictError: `not_ours`, `message_revoked`, `not_editable`, `message_not_sent` or
    `edit_window_passed`.
    """
    stored = await _locked(tx, message_id, call)
    message = stored.message
    _refuse_theirs(message)
    if message.revoked_at is not None:
        raise ConflictError("message_revoked", "The message was deleted for everyone.")
    check_edit(message, content)
    _refuse_unsent(message)
    if _age(message) > EDIT_WINDOW:
        raise ConflictError("edit_window_passed", "WhatsApp takes edits for 15 minutes only.")
    if message.content == content:
        return message
    changing = await Changing.of(tx, [stored], edits=True, reactions=False)
    change_id = uuid7()
    change = Edit(str(change_id), _later_than(message.edited_at), content, from_us=True, author=())
    stored = changing.edit(stored, change)
    await changing.save()
    _ask(tx, stored, "edit", change_id, content)
    return stored.message


async def take_back(tx: Transaction, message_id: UUID, call: Call) -> None:
    """Delete a message of ours for everyone, or keep it from being sent; a second time is nothing.

    Raises NotFoundError, PreconditionFailedError and ConflictError: `not_ours`,
    `message_not_sent` (it failed, or nobody knows its id) or `revoke_window_passed`.
    """
    stored = await _locked(tx, message_id, call)
    message = stored.message
    _refuse_theirs(message)
    if message.revoked_at is not None:
        return
    if message.status != "queued":
        _refuse_unsent(message)
        if _age(message) > REVOKE_WINDOW:
            raise ConflictError("revoke_window_passed", "WhatsApp deletes for 60 hours only.")
    revoked = advance(message, Receipt("revoked", datetime.now(UTC)))
    said = messages.Said(stored.tenant_id, revoked.message, stored.chat_id)
    await messages.save(tx, [said])
    conversation = stored.conversation
    tx.outbox.add(telling(revoked.message, "revoked", conversation), conversation.session.id)
    _ask(tx, stored, "revoke", uuid7(), "")


async def react(tx: Transaction, message_id: UUID, emoji: str, call: Call) -> Message:
    """React in the company's name, empty to take that back; what stands already changes nothing.

    Raises NotFoundError, PreconditionFailedError and ConflictError: `message_revoked` or
    `message_not_sent`.
    """
    stored = await _locked(tx, message_id, call)
    message = stored.message
    ours = next((r for r in message.reactions if r.by in ("agent", "phone")), None)
    if (ours.emoji if ours else "") == emoji:
        return message
    if message.revoked_at is not None:
        raise ConflictError("message_revoked", "The message was deleted for everyone.")
    _refuse_unsent(message)
    changing = await Changing.of(tx, [stored], edits=False, reactions=True)
    change_id = uuid7()
    at = _later_than(ours.at if ours else None)
    reacted = Reacted(emoji, at, from_us=True, agent_id=call.user_id, change_id=change_id)
    stored = changing.react(stored, reacted)
    await changing.save()
    _ask(tx, stored, "reaction", change_id, emoji)
    return stored.message


async def _locked(tx: Transaction, message_id: UUID, call: Call) -> Stored:
    found = await messages.lock(tx, [(tx.tenant_id, message_id)])
    if message_id not in found:
        raise NotFoundError("message")
    stored = found[message_id]
    PreconditionFailedError.check(call.expected_version, stored.message.version)
    return stored


def _refuse_theirs(message: Message) -> None:
    if message.direction != "outbound":
        raise ConflictError("not_ours", "Only messages of ours can be changed.")


def _refuse_unsent(message: Message) -> None:
    if message.external_id is None or message.status == "failed":
        raise ConflictError("message_not_sent", "WhatsApp does not have it, or did not name it.")


def _age(message: Message) -> timedelta:
    return datetime.now(UTC) - (message.sent_at or message.created_at)


def _later_than(moment: datetime | None) -> datetime:
    """Now; but what was done last is the newest, whatever WhatsApp's clock says."""
    now = datetime.now(UTC)
    return max(now, moment + _AFTER) if moment else now


def _ask(tx: Transaction, stored: Stored, kind: ChangeKind, change_id: UUID, content: str) -> None:
    message = stored.message
    requested = MessageChangeRequested(
        id=change_id,
        change=kind,
        message_id=message.id,
        channel_id=message.channel_id,
        to=stored.chat_id,
        external_id=message.external_id,
        from_us=message.direction == "outbound",
        participant=_participant(message),
        content=content,
    )
    tx.outbox.add(requested, stored.conversation.session.id)


def _participant(message: Message) -> str | None:
    """Who of a group wrote it; groups name their members by hidden ids where they have one."""
    if message.direction == "outbound" or not message.metadata.get("is_group"):
        return None
    shown = {one["kind"]: one["value"] for one in message.metadata.get("participant", [])}
    if "lid" in shown:
        return f"{shown['lid']}@lid"
    return f"{shown['phone']}@c.us" if "phone" in shown else None
