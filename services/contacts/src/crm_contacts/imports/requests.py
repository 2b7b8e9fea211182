"""The requests about imports (`shared_events.contacts.contact_import`)."""

import base64
import binascii
from collections.abc import Callable
from datetime import timedelta

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError
from shared_events.contacts.contact_import import (
    ContactImport,
    CreateImport,
    DriveImport,
    GetImport,
    ImportProgressed,
    PutImportPart,
    ReadImportErrors,
)
from shared_events.jobs import FilePart
from shared_events.requests import Nothing

from crm_contacts.imports.job import ERRORS, KIND, ROWS, UPLOAD, to_resource
from crm_contacts.jobs import csv_text, progress, repository
from crm_contacts.jobs.models import Job

_UPLOADED = timedelta(days=1)
"""How long an upload that nobody finished is kept, and one that waits for its turn."""
_COLUMNS = ("line", "column", "code", "message")


class ImportRequests:
    """Answers them; `wake` is called when there is something to work on."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    async def put(self, tx: Transaction, request: PutImportPart, call: Call) -> Nothing:
        """Keep a piece of a file, unless its import was made: raises InvalidError."""
        del call
        try:
            content = base64.b64decode(request.content, validate=True)
        except binascii.Error:
            raise InvalidError.field("content", "invalid_base64", "This is not base64.") from None
        if await repository.find(tx, KIND, request.import_id) is None:
            part = repository.part(
                tx, request.import_id, UPLOAD, request.position, content, _UPLOADED
            )
            await repository.put(tx, [part])
        return Nothing()

    async def create(self, tx: Transaction, request: CreateImport, call: Call) -> ContactImport:
        """Make an import of the file that was brought.

        Raises InvalidError for an empty file, and ConflictError `upload_incomplete`,
        `too_many_jobs` and `job_exists`.
        """
        if request.size == 0:
            raise InvalidError.field("file", "empty_file", "There is nothing in the file.")
        if await repository.find(tx, KIND, request.import_id) is None:
            found = await repository.sum_of(tx, request.import_id, UPLOAD)
            if (found.size, found.sha256) != (request.size, request.sha256):
                raise ConflictError("upload_incomplete", "The file is not what was sent; again.")
        options = request.model_dump(include={"filename", "upsert_key", "mapping", "dry_run"})
        job = await progress.begin(tx, request.import_id, KIND, options, call, told)
        tx.after_commit(self._wake)
        return to_resource(job)

    async def get(self, tx: Transaction, request: GetImport, call: Call) -> ContactImport:
        """How far it is; raises NotFoundError."""
        del call
        found = await repository.find(tx, KIND, request.import_id)
        return to_resource(progress.found(found, KIND))

    async def drive(self, tx: Transaction, request: DriveImport, call: Call) -> ContactImport:
        """Hold it, let it go on or end it.

        Raises NotFoundError, PreconditionFailedError, and ConflictError `job_ended`.
        """
        job = progress.found(await repository.lock(tx, KIND, request.import_id), KIND)
        job = await progress.drive(tx, job, request.action, call.expected_version, told)
        if request.action == "cancel":
            await repository.drop(tx, job.id, UPLOAD)
            await repository.drop(tx, job.id, ROWS)
        tx.after_commit(self._wake)
        return to_resource(job)

    async def errors(self, tx: Transaction, request: ReadImportErrors, call: Call) -> FilePart:
        """A piece of what was wrong, as CSV; raises NotFoundError."""
        del call
        job = progress.found(await repository.find(tx, KIND, request.import_id), KIND)
        part = await repository.read(tx, job.id, ERRORS, request.cursor)
        beginning = csv_text.lines([_COLUMNS]) if request.cursor == 0 else ""
        return part.model_copy(
            update={"content": beginning + part.content, "filename": "import-errors.csv"}
        )


def told(job: Job) -> ImportProgressed:
    """What is told of an import."""
    return ImportProgressed(job=to_resource(job))
