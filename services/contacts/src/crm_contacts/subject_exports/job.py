"""A subject export as a job: file after file, a page at a time, until all have gathered theirs."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from service_kit.database import Database, Transaction
from service_kit.errors import ConflictError
from service_kit.jobs.states import COMPLETED, QUEUED, RUNNING
from service_kit.media_links import reference
from shared_events.contacts.subject_export import (
    SubjectExport,
    SubjectExportProgressed,
    SubjectFile,
)
from shared_events.services import CONTACTS, MESSAGING

from crm_contacts.contacts import repository as contacts
from crm_contacts.jobs import progress, repository
from crm_contacts.jobs.models import Job
from crm_contacts.subject_exports import sections

KIND = "subject_export"
KEPT = timedelta(days=1)
"""How long the archive is there, as a file of any export."""
_GATHER = frozenset({CONTACTS.name, MESSAGING.name})


class SubjectExports:
    """What is particular to subject exports."""

    def tell(self, job: Job) -> SubjectExportProgressed:
        """How far it is."""
        return tell(job)

    async def prepare(self, database: Database, job: Job) -> None:
        """Begin: what there is here is counted once."""
        async with database.tenant(job.tenant_id) as tx:
            before = await repository.lock(tx, KIND, job.id)
            if before is None or before.state != QUEUED:
                return
            total = await sections.count(tx, contact_of(job))
            begun = gathered(before, CONTACTS.name, 0, total, complete=False)
            begun = begun.model_copy(update={"state": RUNNING})
            await progress.save(tx, before, begun, self.tell)

    async def batch(self, tx: Transaction, job: Job) -> Job:
        """Write the next page; the job itself when nothing is left to do here.

        Raises ConflictError for one that others never came to an end with, and as `contacts.live`
        for a contact that is gone.
        """
        if expires_at(job) < datetime.now(UTC):
            raise ConflictError("subject_export_expired", "Not all was gathered within a day.")
        await contacts.get_live(tx, contact_of(job))
        file = cast(SubjectFile | None, job.options["file"])
        if file is None:
            return job
        entries, cursor = await sections.read(tx, file, contact_of(job), job.cursor)
        lines = "".join(f"{entry.model_dump_json()}\n" for entry in entries)
        piece = repository.part(tx, job.id, file, job.position, lines.encode(), KEPT)
        await repository.put(tx, [piece])
        further: dict[str, Any] = {"position": job.position + 1, "cursor": cursor}
        if cursor is None:
            further["options"] = {**job.options, "file": _next(file)}
        told = job.counts[CONTACTS.name]
        done = told["done"] + len(entries)
        complete = cursor is None and _next(file) is None
        total = done if complete else told["total"]
        after = job.model_copy(update=further)
        return gathered(after, CONTACTS.name, done, total, complete=complete)


def gathered(job: Job, service: str, done: int, total: int, *, complete: bool) -> Job:
    """The job, knowing how far a service is; completed once all have gathered theirs."""
    told = {"done": done, "total": total, "complete": complete}
    counts = {**job.counts, service: told}
    everybody = counts.keys() >= _GATHER
    totals = sum(each["total"] for each in counts.values())
    update = {
        "counts": counts,
        "done": sum(each["done"] for each in counts.values()),
        "total": totals if everybody else None,
    }
    if everybody and all(each["complete"] for each in counts.values()):
        update["state"] = COMPLETED
    return job.model_copy(update=update)


def contact_of(job: Job) -> UUID:
    """Whom it is about."""
    return UUID(job.options["contact_id"])


def expires_at(job: Job) -> datetime:
    """Until when its archive is there."""
    return job.created_at + KEPT


def tell(job: Job) -> SubjectExportProgressed:
    """How far it is, without a link: whoever follows events may see less than who may export."""
    return SubjectExportProgressed(job=to_resource(job))


def to_resource(job: Job, *, linked: bool = False) -> SubjectExport:
    """A subject export as customers see it; `linked`: with the way to its archive, if it has one.

    It has one for as long as it is kept.
    """
    is_there = job.state == COMPLETED and expires_at(job) > datetime.now(UTC)
    return SubjectExport.model_validate(
        {
            **job.model_dump(include=set(SubjectExport.model_fields)),
            "contact_id": contact_of(job),
            "url": reference(job.id, "subject-export") if linked and is_there else None,
            "failure": job.failure or None,
            "expires_at": expires_at(job),
        }
    )


def _next(file: SubjectFile) -> SubjectFile | None:
    place = sections.FILES.index(file) + 1
    return sections.FILES[place] if place < len(sections.FILES) else None
