"""Answers about what was gathered for subject exports."""

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from shared_events.jobs import FilePart
from shared_events.messaging.subject_export import ReadSubjectMessages

from crm_messaging.subject_exports import repository


async def read_messages(tx: Transaction, request: ReadSubjectMessages, call: Call) -> FilePart:
    """A piece of one of its files; NotFoundError for an export that is unknown or gone.

    Whoever asks was given a link, and contacts has said that the export is complete.
    """
    del call
    if not await repository.is_known(tx, request.export_id):
        raise NotFoundError("subject_export")
    return await repository.read(tx, request.export_id, request.file, request.cursor)
