"""The requests about imports of history (`shared_events.channels.history`)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, NotFoundError
from service_kit.ids import uuid7
from service_kit.jobs.states import QUEUED
from shared_events.channels.history import (
    CreateHistoryImport,
    DriveHistoryImport,
    GetHistoryImport,
    HistoryImport,
    HistoryProgressed,
)

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.history import progress, repository
from crm_channels_waha.history.models import HistoryImportRow

_NOUN = "history_import"
_CONNECTED = frozenset({"connected", "degraded"})


class HistoryRequests:
    """Answers them; `wake` is called when there is something to work on.

    What was said less than `settle_seconds` before an import is on its way live: as history it
    would never be unread, and nobody be told.
    """

    def __init__(self, wake: Callable[[], None], settle_seconds: float) -> None:
        self._wake = wake
        self._settle = timedelta(seconds=settle_seconds)

    async def create(
        self, tx: Transaction, request: CreateHistoryImport, call: Call
    ) -> HistoryImport:
        """Add an import nobody has worked on yet, and tell of it.

        Raises NotFoundError, and ConflictError `channel_not_connected` and
        `history_import_running`.
        """
        channel = await channels.find(tx, request.channel_id)
        if channel.status not in _CONNECTED:
            raise ConflictError("channel_not_connected", "The channel is not connected.")
        now = datetime.now(UTC)
        job = HistoryImportRow(
            id=uuid7(),
            tenant_id=tx.tenant_id,
            phone=channel.phone,
            state=QUEUED,
            since=now - timedelta(request.days) if request.days else None,
            until=now - self._settle,
            correlation_id=call.correlation_id,
            due_at=now,
            created_at=now,
            updated_at=now,
            **request.model_dump(),
        )
        if not await repository.insert(tx, job):
            raise ConflictError("history_import_running", "The channel has one at work; wait.")
        tx.outbox.add(HistoryProgressed(job=progress.resource(job)), job.id)
        tx.after_commit(self._wake)
        return progress.resource(job)

    async def get(self, tx: Transaction, request: GetHistoryImport, call: Call) -> HistoryImport:
        """How far it is; raises NotFoundError."""
        del call
        job = await repository.IMPORTS.find(tx, request.history_import_id)
        if job is None:
            raise NotFoundError(_NOUN)
        return progress.resource(job)

    async def drive(
        self, tx: Transaction, request: DriveHistoryImport, call: Call
    ) -> HistoryImport:
        """Hold it, let it go on or end it; raises NotFoundError, and as `progress.drive`."""
        job = await repository.IMPORTS.lock(tx, request.history_import_id)
        if job is None:
            raise NotFoundError(_NOUN)
        job = await progress.drive(tx, job, request.action, call.expected_version)
        tx.after_commit(self._wake)
        return progress.resource(job)
