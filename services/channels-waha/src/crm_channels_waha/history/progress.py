"""Changes of imports: states, versions, and what is told of them. The caller commits."""

from service_kit.database import Transaction
from service_kit.errors import ExpectedVersion, PreconditionFailedError
from service_kit.jobs.states import ENDED, driven, failure, is_news, stamps
from shared_events.channels.history import HistoryImport, HistoryProgressed
from shared_events.jobs import JobAction

from crm_channels_waha.history import repository
from crm_channels_waha.history.models import HistoryImportRow

_SHOWN = tuple(name for name in HistoryImport.model_fields if name != "failure")


def resource(job: HistoryImportRow) -> HistoryImport:
    """An import as customers see it."""
    shown = {name: getattr(job, name) for name in _SHOWN}
    return HistoryImport.model_validate({**shown, "failure": job.failure or None})


def failed(job: HistoryImportRow, code: str, detail: str) -> HistoryImportRow:
    """The import, given up as a whole."""
    return job.model_copy(update=failure(code, detail))


async def save(
    tx: Transaction, before: HistoryImportRow, after: HistoryImportRow
) -> HistoryImportRow:
    """Write an import, whose lock the caller holds, as it is by now.

    It is told of when its state changed or another tenth of its chats is done. When it has ended,
    nobody knows any more whose chats it read.
    """
    after = after.model_copy(update=stamps(before, after))
    await repository.IMPORTS.update(tx, after)
    if after.state in ENDED:
        await repository.drop_chats(tx, after.id)
    if is_news(before, after):
        tx.outbox.add(HistoryProgressed(job=resource(after)), after.id)
    return after


async def drive(
    tx: Transaction, job: HistoryImportRow, action: JobAction, expected_version: ExpectedVersion
) -> HistoryImportRow:
    """Hold an import, whose lock the caller holds, let it go on or end it.

    What it is already changes nothing. Raises PreconditionFailedError, and ConflictError
    `job_ended`.
    """
    PreconditionFailedError.check(expected_version, job.version)
    changes = driven(job, action)
    return await save(tx, job, job.model_copy(update=changes)) if changes else job
