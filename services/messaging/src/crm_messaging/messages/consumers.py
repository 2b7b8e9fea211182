"""What channels report of messages that are already ours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import structlog
from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events import bounds
from shared_events.channels.traffic import (
    ChannelMessageFailed,
    ChannelMessageRevoked,
    ChannelMessageSent,
    ChannelMessageStatusReported,
)

from crm_messaging.messages import repository
from crm_messaging.messages.changes.applying import apply_parked
from crm_messaging.messages.events import telling
from crm_messaging.messages.members import Members
from crm_messaging.messages.receipts import Receipt, advance, from_report, from_revocation
from crm_messaging.messages.repository import MessageKey, Stored

log = structlog.get_logger()


class _Journey:
    """Messages taking steps within one transaction, each told of as it happens."""

    def __init__(
        self, tx: Transaction, members: Members | None = None, *, quiet: bool = False
    ) -> None:
        self._tx = tx
        self._quiet = quiet
        self._members = members or Members()
        self._now: dict[UUID, Stored] = {}

    def take(self, stored: Stored, receipt: Receipt, cause: Cause) -> None:
        """Let a message take a step."""
        stored = self._now.get(stored.message.id, stored)
        if self._members.takes(stored, receipt):
            counted = self._members.take(stored.tenant_id, stored.message, receipt)
            if counted is not stored.message:
                self._now[counted.id] = replace(stored, message=counted)
            return
        progress = advance(stored.message, receipt)
        if not progress.changed:
            return
        message, conversation = progress.message, stored.conversation
        self._now[message.id] = replace(stored, message=message)
        if progress.raised and not self._quiet:
            event = telling(message, receipt.status, conversation)
            self._tx.outbox.add(
                event, conversation.session.id, tenant_id=stored.tenant_id, cause=cause
            )

    def name(self, stored: Stored, external_id: str) -> None:
        """Learn WhatsApp's id of a message."""
        stored = self._now.get(stored.message.id, stored)
        named = {"external_id": external_id, "version": stored.message.version + 1}
        message = stored.message.model_copy(update=named)
        self._now[message.id] = replace(stored, message=message)

    async def save(self) -> None:
        """Store where the messages got to."""
        if self._now:
            await repository.save(self._tx, self._now.values())
            await self._members.save(self._tx)


def _theirs(
    events: Sequence[Event[ChannelMessageSent] | Event[ChannelMessageFailed]],
) -> list[tuple[str, UUID]]:
    return [(event.tenant_id, event.data.message_id) for event in events]


async def on_message_sent(tx: Transaction, events: Sequence[Event[ChannelMessageSent]]) -> None:
    """WhatsApp took messages of ours; receipts that came early are applied now."""
    ours = await repository.lock(tx, _theirs(events))
    keys: list[MessageKey] = [
        (event.tenant_id, event.data.channel_id, event.data.external_id)
        for event in events
        if event.data.external_id is not None
    ]
    taken = await repository.find_ids(tx, keys)
    parked = await repository.take_parked(tx, keys)
    journey = _Journey(tx, await Members.of(tx, _early(events, ours, parked)))
    for event in events:
        data = event.data
        stored = ours.get(data.message_id)
        if stored is None:
            log.warning("unknown_message_sent", message=str(data.message_id))
            continue
        key = (event.tenant_id, data.channel_id, data.external_id or "")
        if (
            data.external_id is not None
            and taken.setdefault(key, data.message_id) == data.message_id
        ):
            journey.name(stored, data.external_id)
        journey.take(stored, Receipt("sent", data.sent_at), event.cause)
        for receipt in parked.pop(key, ()):
            journey.take(stored, receipt, event.cause)
    await journey.save()
    causes = {(e.tenant_id, e.data.channel_id, e.data.external_id or ""): e.cause for e in events}
    await apply_parked(tx, {key: causes[key] for key in keys})


def _early(
    events: Sequence[Event[ChannelMessageSent]],
    ours: Mapping[UUID, Stored],
    parked: Mapping[MessageKey, Sequence[Receipt]],
) -> list[tuple[Stored, Receipt]]:
    """The receipts that waited for these messages to be named."""
    return [
        (stored, receipt)
        for event in events
        if (stored := ours.get(event.data.message_id))
        for receipt in parked.get(
            (event.tenant_id, event.data.channel_id, event.data.external_id or ""), ()
        )
    ]


async def on_message_failed(tx: Transaction, events: Sequence[Event[ChannelMessageFailed]]) -> None:
    """Messages of ours that will not be sent."""
    ours = await repository.lock(tx, _theirs(events))
    journey = _Journey(tx)
    for event in events:
        data = event.data
        stored = ours.get(data.message_id)
        if stored is None:
            log.warning("unknown_message_failed", message=str(data.message_id))
            continue
        reason = f"{data.code}: {data.reason}"[: bounds.limit(bounds.Reason)]
        journey.take(stored, Receipt("failed", data.failed_at, reason), event.cause)
    await journey.save()


async def on_status_reported(
    tx: Transaction, events: Sequence[Event[ChannelMessageStatusReported]]
) -> None:
    """Receipts from WhatsApp; those for messages we do not know yet are kept for them."""
    reported = [
        ((event.tenant_id, event.data.channel_id, event.data.external_id), receipt, event.cause)
        for event in events
        if (receipt := from_report(event.data)) is not None
    ]
    await take(tx, reported)


async def on_message_revoked(
    tx: Transaction, events: Sequence[Event[ChannelMessageRevoked]]
) -> None:
    """Messages deleted for everyone; what is told of one we do not know yet is kept for it."""
    await take(
        tx,
        [
            (
                (event.tenant_id, event.data.channel_id, event.data.external_id),
                from_revocation(event.data),
                event.cause,
            )
            for event in events
        ],
    )


async def take(
    tx: Transaction, reported: Sequence[tuple[MessageKey, Receipt, Cause]], *, quiet: bool = False
) -> None:
    """Let messages take steps; those of messages we do not know yet are kept for them.

    `quiet`: nobody is told, and what is of a message we do not know is of no use.
    """
    ours = await repository.lock_reported(tx, (key for key, _, _ in reported))
    known = [(ours[key], receipt) for key, receipt, _ in reported if key in ours]
    journey = _Journey(tx, await Members.of(tx, known), quiet=quiet)
    early = []
    for key, receipt, cause in reported:
        if (stored := ours.get(key)) is not None:
            journey.take(stored, receipt, cause)
        else:
            early.append((key, receipt))
    await journey.save()
    if early and not quiet:
        await repository.park(tx, early)
