"""How far a message got, and whether it was taken back. Nothing here does I/O.

One total order: queued < sent < failed < delivered < read < played. The status is the highest step
ever reported, and each step keeps the time it was first reported, in whatever order they come. One
that was deleted for everyone keeps its status: `revoked_at` stands beside it. What a member of a
group does says nothing of the others: see `members.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from shared_events.channels.traffic import ChannelMessageRevoked, ChannelMessageStatusReported
from shared_events.messaging.message import Message, MessageStatus

Step = MessageStatus | Literal["revoked"]

RECEIPTS = "receipts"
"""The key of a message's metadata that the release before writes members' receipts to."""

_RANK: dict[str, int] = {
    status: rank
    for rank, status in enumerate(("queued", "sent", "failed", "delivered", "read", "played"))
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """A step a message took. `reason` says why it failed; `participant` is a group's member."""

    status: Step
    at: datetime
    reason: str | None = None
    participant: str | None = None


def from_report(report: ChannelMessageStatusReported) -> Receipt | None:
    """What WhatsApp reported; None for `pending`, which says nothing new."""
    if report.status == "pending":
        return None
    reason = report.error_code or "failed" if report.status == "failed" else None
    return Receipt(report.status, report.occurred_at, reason, report.participant)


def from_revocation(report: ChannelMessageRevoked) -> Receipt:
    """The step of being deleted for everyone."""
    return Receipt("revoked", report.revoked_at)


@dataclass(frozen=True, slots=True)
class Progress:
    """The message afterwards; `changed`: it must be stored; `raised`: worth an event."""

    message: Message
    changed: bool
    raised: bool


def advance(message: Message, receipt: Receipt) -> Progress:
    """Let a message take a step. One that came in only learns that the company's phone read it."""
    if receipt.status == "revoked":
        revoked = {} if message.revoked_at else {"revoked_at": receipt.at}
        return _noted(message, revoked, raised=True)
    if message.direction == "inbound":
        if receipt.status not in ("read", "played"):
            return Progress(message, changed=False, raised=False)
        return _noted(message, {} if message.read_at else {"read_at": receipt.at})
    update: dict[str, object] = {}
    at = f"{receipt.status}_at"
    if getattr(message, at) is None:
        update[at] = receipt.at
        if receipt.status == "failed":
            update["failure_reason"] = receipt.reason
    raised = _RANK[receipt.status] > _RANK[message.status]
    if raised:
        update["status"] = receipt.status
    return _noted(message, update, raised=raised)


def _noted(message: Message, update: Mapping[str, object], *, raised: bool = False) -> Progress:
    if not update:
        return Progress(message, changed=False, raised=False)
    changed = {**update, "version": message.version + 1, "updated_at": datetime.now(UTC)}
    message = message.model_copy(update=changed)
    return Progress(message, changed=True, raised=raised)
