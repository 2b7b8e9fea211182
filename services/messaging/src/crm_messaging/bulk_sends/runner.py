"""Working on a bulk send, a message at a time, whoever asks for it: a workflow, or the process.

A message and whose turn comes next are one transaction, under the bulk send's lock: a process that
dies in the middle leaves nothing half done, and of two that work on one, each person gets one
message. Only a few messages wait at the channel at a time: so a bulk send that is held or ended
stops within moments, and goes exactly as fast as the channel sends.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import structlog
from service_kit.cause import Cause
from service_kit.database import Database, Transaction, is_busy, is_infrastructure
from service_kit.errors import ProblemError
from service_kit.jobs.schemas import JobRef
from service_kit.jobs.states import COMPLETED, QUEUED, RUNNING
from shared_events import bounds
from shared_events.jobs import Detail
from shared_events.messaging.message import SendMessage

from crm_messaging.bulk_sends import gathering, progress, repository
from crm_messaging.bulk_sends.models import BulkRecipientRow, BulkSendRow
from crm_messaging.consent import asking as consent
from crm_messaging.messages import service as messages
from crm_messaging.replicas import people

log = structlog.get_logger()

AT_THE_CHANNEL = 10
"""Messages of a bulk send that wait there at a time."""
_LEAST_PAUSE, _MOST_PAUSE = 0.02, 1.0
_ON_ITS_WAY = timedelta(seconds=10)
"""A contact that was just made may not be known here yet."""
_LOST = frozenset({"failed", "cancelled"})


class _NotYetError(Exception):
    """The next recipient may be known in a moment."""


class _RefusedError(Exception):
    """A recipient who gets no message; the transaction is rolled back."""

    def __init__(self, recipient: BulkRecipientRow, code: str, detail: str) -> None:
        super().__init__(code)
        self.recipient, self.code, self.detail = recipient, code, detail


@dataclass(frozen=True, slots=True)
class _Step:
    """What a look at a bulk send brought: whether there is more to do, and whether it moved."""

    more: bool
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Runner:
    """Works on bulk sends."""

    database: Database

    async def advance(
        self, ref: JobRef, seconds: float = 20.0, is_over: Callable[[], bool] = bool
    ) -> bool:
        """Work on a bulk send for so long, or until `is_over`; whether there is more to do now.

        One that does not move gives its place to others, and is looked at again once it is due:
        what waits at a slow channel lasts longer. Raises what the database raises while it is away:
        worth trying again.
        """
        until, pause, moved = time.monotonic() + seconds, _LEAST_PAUSE, False
        async with self.database.tenant(ref.tenant_id, read_only=True) as tx:
            job = await repository.SENDS.find(tx, ref.id)
        if job is None:
            return False
        cause = Cause(job.correlation_id)
        while time.monotonic() < until and not is_over():
            began = time.monotonic()
            step = await self._step(ref, cause)
            if not step.more:
                return False
            moved |= step.moved
            if not step.moved and pause == _MOST_PAUSE:
                return moved
            # As long a pause as the work took: those who wait for an answer come first.
            took = time.monotonic() - began
            pause = max(took, _LEAST_PAUSE) if step.moved else pause * 2
            pause = min(pause, _MOST_PAUSE)
            await asyncio.sleep(pause)
        return moved or is_over()

    async def _step(self, ref: JobRef, cause: Cause) -> _Step:
        try:
            async with self.database.tenant(ref.tenant_id, cause=cause) as tx:
                return await _go_on(tx, ref.id)
        except _NotYetError:
            return _Step(more=True)
        except _RefusedError as refused:
            async with self.database.tenant(ref.tenant_id, cause=cause) as tx:
                return await _refuse(tx, refused)


async def _go_on(tx: Transaction, bulk_send_id: UUID) -> _Step:
    job = await repository.SENDS.lock(tx, bulk_send_id)
    if job is None or job.state not in (QUEUED, RUNNING):
        return _Step(more=False)
    if job.send_at is not None and job.send_at > datetime.now(UTC):
        return _Step(more=False)
    if job.state == QUEUED:
        return await _begin(tx, job)
    settled = await repository.settle(tx, job)
    changes: dict[str, Any] = {
        "done": job.done + len(settled),
        "errors": job.errors + sum(status in _LOST for status in settled),
    }
    waiting = await repository.waiting(tx, job)
    recipient = await repository.next_recipient(tx, job) if waiting < AT_THE_CHANNEL else None
    if recipient is not None:
        await _write_to(tx, job, recipient)
    ended = recipient is None and not waiting
    if ended:
        changes["state"] = COMPLETED
    if settled or ended:
        await progress.save(tx, job, changes)
    return _Step(more=not ended, moved=bool(settled or recipient))


async def _begin(tx: Transaction, job: BulkSendRow) -> _Step:
    """Its time has come: whom it goes to is known, or asked for now."""
    if job.total is not None:
        await progress.save(tx, job, {"state": RUNNING})
        return _Step(more=True, moved=True)
    if not job.asked:
        await progress.save(tx, job, await gathering.ask(tx, job, None))
    return _Step(more=False)  # who tells it wakes us


async def _write_to(tx: Transaction, job: BulkSendRow, recipient: BulkRecipientRow) -> None:
    """Queue the message to whoever the contact is by now; raises _RefusedError, _NotYetError."""
    try:
        person = await people.get_contact(tx, recipient.contact_id)
        message_id = uuid5(job.id, str(person.contact_id))
        if await repository.is_written_to(tx, message_id):
            raise _RefusedError(recipient, "duplicate", "It is somebody who is written to already.")
        await consent.check_unasked(tx, person.contact_id, job.channel_id)
        request = SendMessage(
            contact_id=person.contact_id, channel_id=job.channel_id, **job.content
        )
        draft = messages.draft(request, person.contact_id, job.created_by, message_id=message_id)
        await messages.queue(tx, draft, fail_if_offline=False, bulk=True)
    except ProblemError as error:
        if error.may_come and datetime.now(UTC) - job.created_at < _ON_ITS_WAY:
            raise _NotYetError from None
        raise _RefusedError(recipient, error.problem.code, error.problem.detail) from None
    except (_RefusedError, TimeoutError):
        raise
    except Exception as error:
        if is_infrastructure(error) or is_busy(error):
            raise
        log.exception("bulk_message_not_queued", bulk_send=str(job.id))
        raise _RefusedError(recipient, "internal_error", type(error).__name__) from None
    queued = {"state": repository.QUEUED, "message_id": message_id}
    await repository.save(tx, recipient.model_copy(update=queued))


async def _refuse(tx: Transaction, refused: _RefusedError) -> _Step:
    """Note why a recipient gets no message, unless it was held or another was faster meanwhile."""
    job = await repository.SENDS.lock(tx, refused.recipient.bulk_send_id)
    if job is None or job.state != RUNNING:
        return _Step(more=False)
    if await repository.next_recipient(tx, job) == refused.recipient:
        why = {
            "state": repository.OVER,
            "code": refused.code[: bounds.limit(bounds.ErrorCode)],
            "detail": refused.detail[: bounds.limit(Detail)],
        }
        await repository.save(tx, refused.recipient.model_copy(update=why))
        await progress.save(tx, job, {"done": job.done + 1, "errors": job.errors + 1})
    return _Step(more=True, moved=True)
