"""The requests about bulk sends (`shared_events.messaging.bulk_send`)."""

from collections.abc import Callable
from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
)
from service_kit.ids import uuid7
from service_kit.jobs.states import ENDED, QUEUED, driven
from shared_events.messaging.bulk_send import (
    BulkRecipient,
    BulkSend,
    DriveBulkSend,
    GetBulkSend,
    ListBulkRecipients,
    SendInBulk,
)
from shared_events.messaging.message import MessageContent
from shared_events.requests import Page

from crm_messaging.bulk_sends import progress, repository
from crm_messaging.bulk_sends.models import BulkSendRow
from crm_messaging.messages.requests import Sending
from crm_messaging.messages.scheduled import service as scheduling
from crm_messaging.replicas import repository as replicas

MAX_UNFINISHED = 10
"""Bulk sends that a company may have at a time."""
_NOUN = "bulk_send"


class BulkSendRequests:
    """Answers them; `wake` is called when there is something to work on."""

    def __init__(self, sending: Sending, wake: Callable[[], None]) -> None:
        self._sending = sending
        self._wake = wake

    async def send(self, tx: Transaction, request: SendInBulk, call: Call) -> BulkSend:
        """Add a bulk send nobody has worked on yet, and tell of it.

        Raises ForbiddenError for who sees only their own, InvalidError for what does not fit
        together, NotFoundError for the channel, and ConflictError `too_many_jobs`.
        """
        if call.principal.own_only:
            raise ForbiddenError("own_only", "Who sees only their own writes to one at a time.")
        if (request.list_id is None) == (not request.contact_ids):
            raise InvalidError.field("list_id", "one_of_both", "Give a list_id or contact_ids.")
        self._sending.check(request)
        scheduling.check_times(request.send_at, None)
        await replicas.get_channel(tx, request.channel_id)
        if await repository.unfinished(tx) >= MAX_UNFINISHED:
            raise ConflictError(
                "too_many_jobs",
                f"At most {MAX_UNFINISHED} may be at work; wait.",
                limit=MAX_UNFINISHED,
            )
        now = datetime.now(UTC)
        said = set(MessageContent.model_fields)
        job = BulkSendRow(
            id=uuid7(),
            tenant_id=tx.tenant_id,
            channel_id=request.channel_id,
            list_id=request.list_id,
            content=request.model_dump(mode="json", include=said, exclude_unset=True),
            content_type=request.content_type,
            state=QUEUED,
            send_at=request.send_at,
            created_by=call.user_id,
            correlation_id=call.correlation_id,
            due_at=request.send_at or now,
            created_at=now,
            updated_at=now,
        )
        if request.contact_ids:
            total = len(set(request.contact_ids))
            job = job.model_copy(update={"total": total})
        await repository.SENDS.insert(tx, job)
        await repository.add_recipients(tx, job, request.contact_ids)
        progress.tell(tx, job)
        tx.after_commit(self._wake)
        return progress.resource(job)

    async def get(self, tx: Transaction, request: GetBulkSend, call: Call) -> BulkSend:
        """How far it is; raises NotFoundError."""
        del call
        return progress.resource(_found(await repository.SENDS.find(tx, request.bulk_send_id)))

    async def drive(self, tx: Transaction, request: DriveBulkSend, call: Call) -> BulkSend:
        """Hold it, let it go on or end it.

        Raises NotFoundError, PreconditionFailedError, and ConflictError `job_ended`.
        """
        job = _found(await repository.SENDS.lock(tx, request.bulk_send_id))
        PreconditionFailedError.check(call.expected_version, job.version)
        if changes := driven(job, request.action):
            job = await progress.save(tx, job, changes)
        tx.after_commit(self._wake)
        return progress.resource(job)

    async def list_recipients(
        self, tx: Transaction, request: ListBulkRecipients, call: Call
    ) -> Page[BulkRecipient]:
        """What became of each; raises NotFoundError and MalformedError."""
        del call
        job = _found(await repository.SENDS.find(tx, request.bulk_send_id))
        return await repository.page(tx, request, ended=job.state in ENDED)


def _found(job: BulkSendRow | None) -> BulkSendRow:
    if job is None:
        raise NotFoundError(_NOUN)
    return job
