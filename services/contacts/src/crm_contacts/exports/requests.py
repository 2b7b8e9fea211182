"""The requests about exports (`shared_events.contacts.contact_export`)."""

from collections.abc import Callable
from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, ForbiddenError, InvalidError
from service_kit.ids import uuid7
from service_kit.jobs.states import COMPLETED
from shared_events.contacts.contact_export import (
    ContactExport,
    CreateExport,
    ExportFilter,
    ExportProgressed,
    GetExport,
    ReadExport,
)
from shared_events.jobs import FilePart
from shared_events.permissions import permits

from crm_contacts.contact_lists import repository as lists
from crm_contacts.exports.job import FILE, KEPT, KIND, to_resource
from crm_contacts.jobs import progress, repository
from crm_contacts.jobs.models import Job

IN_CLEAR = "contacts.export"
"""The permission to have phones and e-mails in a file as they are."""
_NAMED = {
    "csv": {"media_type": "text/csv", "filename": "contacts.csv"},
    "jsonl": {"media_type": "application/jsonl", "filename": "contacts.jsonl"},
}


class ExportRequests:
    """Answers them; `wake` is called when there is something to work on."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    async def create(self, tx: Transaction, request: CreateExport, call: Call) -> ContactExport:
        """Begin an export.

        Raises InvalidError for a list that is none, and for a list and filters together, and
        ConflictError `too_many_jobs`.
        """
        if request.contact_list_id is not None:
            if request.filters != ExportFilter():
                raise InvalidError.field("filters", "list_or_filters", "Give one of them.")
            if await lists.find(tx, request.contact_list_id) is None:
                raise InvalidError.field("contact_list_id", "unknown_list", "No such list.")
        options = request.model_dump(mode="json", by_alias=True, exclude={"filters"})
        options["filters"] = request.filters.model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
        options["masked"] = not permits(call.principal.permissions, IN_CLEAR)
        job = await progress.begin(tx, uuid7(), KIND, options, call, _tell)
        tx.after_commit(self._wake)
        return to_resource(job)

    async def get(self, tx: Transaction, request: GetExport, call: Call) -> ContactExport:
        """How far it is; raises NotFoundError."""
        del call
        found = await repository.find(tx, KIND, request.export_id)
        return to_resource(progress.found(found, KIND))

    async def read(self, tx: Transaction, request: ReadExport, call: Call) -> FilePart:
        """A piece of the file.

        Raises NotFoundError, ForbiddenError for one in clear and somebody who may have none such,
        and ConflictError `export_not_ready` and `export_expired`.
        """
        job = progress.found(await repository.find(tx, KIND, request.export_id), KIND)
        if not job.options["masked"] and not permits(call.principal.permissions, IN_CLEAR):
            raise ForbiddenError(
                "permission_missing", f"This needs the permission {IN_CLEAR}.", permission=IN_CLEAR
            )
        if job.state != COMPLETED:
            raise ConflictError("export_not_ready", f"The export is {job.state}.")
        if job.created_at + KEPT < datetime.now(UTC):
            raise ConflictError("export_expired", "The file was kept for a day; export again.")
        part = await repository.read(tx, job.id, FILE, request.cursor)
        return part.model_copy(update=_NAMED[job.options["format"]])


def _tell(job: Job) -> ExportProgressed:
    return ExportProgressed(job=to_resource(job))
