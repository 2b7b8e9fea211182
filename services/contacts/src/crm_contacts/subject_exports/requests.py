"""The requests about subject exports (`shared_events.contacts.subject_export`)."""

from collections.abc import Callable
from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError
from service_kit.ids import uuid7
from service_kit.jobs.states import COMPLETED
from shared_events.contacts.subject_export import (
    CreateSubjectExport,
    GetSubjectExport,
    ReadSubjectExport,
    SubjectExport,
    SubjectExportStarted,
)
from shared_events.jobs import FilePart

from crm_contacts.contacts import repository as contacts
from crm_contacts.jobs import progress, repository
from crm_contacts.subject_exports import sections
from crm_contacts.subject_exports.job import KIND, contact_of, expires_at, tell, to_resource


class SubjectExportRequests:
    """Answers them; `wake` is called when there is something to work on."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    async def create(
        self, tx: Transaction, request: CreateSubjectExport, call: Call
    ) -> SubjectExport:
        """Begin to gather, here and elsewhere.

        Raises as `contacts.live` does, and ConflictError `too_many_jobs`.
        """
        await contacts.get_live(tx, request.contact_id, keep=True)
        options = {"contact_id": str(request.contact_id), "file": sections.FILES[0]}
        job = await progress.begin(tx, uuid7(), KIND, options, call, tell)
        tx.outbox.add(
            SubjectExportStarted(
                export_id=job.id, contact_id=request.contact_id, expires_at=expires_at(job)
            ),
            request.contact_id,
        )
        tx.after_commit(self._wake)
        return to_resource(job)

    async def get(self, tx: Transaction, request: GetSubjectExport, call: Call) -> SubjectExport:
        """How far it is; raises NotFoundError, and as `contacts.live` for who is gone."""
        del call
        job = progress.found(await repository.find(tx, KIND, request.export_id), KIND)
        await contacts.get_live(tx, contact_of(job))
        return to_resource(job, linked=True)

    async def read(self, tx: Transaction, request: ReadSubjectExport, call: Call) -> FilePart:
        """A piece of one of its files; whoever asks was given a link.

        Raises as `get`, and ConflictError `subject_export_not_ready`, `subject_export_expired`.
        """
        del call
        job = progress.found(await repository.find(tx, KIND, request.export_id), KIND)
        await contacts.get_live(tx, contact_of(job))
        if job.state != COMPLETED:
            raise ConflictError("subject_export_not_ready", f"The export is {job.state}.")
        if expires_at(job) < datetime.now(UTC):
            raise ConflictError(
                "subject_export_expired", "The archive was kept for a day; export again."
            )
        return await repository.read(tx, job.id, request.file, request.cursor)
