"""The files of messages: what a message shows of its own, before and after it was fetched."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import structlog
from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.media_links import reference
from shared_events.channels.media import ChannelMediaFailed, ChannelMediaStored
from shared_events.channels.traffic import Media
from shared_events.messaging.message import (
    Message,
    MessageEvent,
    MessageMediaFailed,
    MessageMediaStored,
)

from crm_messaging.messages import repository
from crm_messaging.messages.repository import Stored

log = structlog.get_logger()

Told = TypeVar("Told", ChannelMediaStored, ChannelMediaFailed)


def media_url(media: Media | None) -> str | None:
    """What leads to a message's file: our reference to it, which becomes a link where it leaves."""
    if media is None or media.id is None:
        return media.url if media else None
    return reference(media.id)


def shown_beside(media: Media) -> dict[str, Any]:
    """What the metadata says of a file; one we fetch is pending until we are told otherwise."""
    beside = media.model_dump(
        include={"filename", "duration_seconds", "state"}, exclude_none=True, mode="json"
    )
    return beside if media.id is None else {**beside, "state": "pending"}


async def on_media_stored(tx: Transaction, events: Sequence[Event[ChannelMediaStored]]) -> None:
    """Files that can be had now."""

    def stored(message: Message, data: ChannelMediaStored) -> Message:
        shown = {**message.metadata.get("media", {}), "state": "stored", "size": data.size}
        return _changed(message, shown, media_mime_type=data.mime_type)

    await _tell(tx, events, stored, lambda data, values: MessageMediaStored(**values))


async def on_media_failed(tx: Transaction, events: Sequence[Event[ChannelMediaFailed]]) -> None:
    """Files that will not be had: the message stays, and says why."""

    def failed(message: Message, data: ChannelMediaFailed) -> Message:
        shown = {**message.metadata.get("media", {}), "state": "failed", "reason": data.reason}
        return _changed(message, shown)

    await _tell(
        tx, events, failed, lambda data, values: MessageMediaFailed(**values, reason=data.reason)
    )


def _changed(message: Message, shown: dict[str, Any], **more: Any) -> Message:
    return message.model_copy(
        update={
            "metadata": {**message.metadata, "media": shown},
            "version": message.version + 1,
            "updated_at": datetime.now(UTC),
            **more,
        }
    )


async def _tell(
    tx: Transaction,
    events: Sequence[Event[Told]],
    change: Callable[[Message, Told], Message],
    telling: Callable[[Told, dict[str, Any]], MessageEvent],
) -> None:
    """Change the messages and tell it. They are known: what tells of them came before, in order."""
    found = await repository.lock_reported(
        tx, ((e.tenant_id, e.data.channel_id, e.data.external_id) for e in events)
    )
    changed: dict[UUID, Stored] = {}
    for event in events:
        stored = found.get((event.tenant_id, event.data.channel_id, event.data.external_id))
        if stored is None or stored.message.media_id != event.data.media_id:
            log.warning("file_of_unknown_message", media=str(event.data.media_id))
            continue
        stored = changed.get(stored.message.id, stored)
        message, conversation = change(stored.message, event.data), stored.conversation
        if message.metadata == stored.message.metadata:
            continue
        changed[message.id] = replace(stored, message=message)
        values = {
            "message": message,
            "contact": conversation.contact,
            "session": conversation.session,
            "channel": conversation.channel,
        }
        tx.outbox.add(
            telling(event.data, values),
            conversation.session.id,
            tenant_id=event.tenant_id,
            cause=event.cause,
        )
    if changed:
        await repository.save(tx, changed.values())
