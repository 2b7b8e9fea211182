"""An export as a job: a page of contacts after the other becomes pieces of a file."""

from datetime import timedelta

from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.jobs.states import COMPLETED, QUEUED, RUNNING
from shared_events.contacts.contact import Contact, ListContacts
from shared_events.contacts.contact_export import ContactExport, ExportFilter, ExportProgressed
from shared_events.contacts.contact_list import ListListed
from shared_events.requests import Page, Principal

from crm_contacts.contact_lists import members
from crm_contacts.contacts import listing
from crm_contacts.custom_fields import repository as definitions
from crm_contacts.exports import rendering
from crm_contacts.exports.masking import masked
from crm_contacts.jobs import progress, repository
from crm_contacts.jobs.models import Job

KIND = "export"
FILE = "file"
KEPT = timedelta(days=1)
"""How long the file is there."""
BATCH_ROWS = 250
"""A piece of the file holds so many contacts: at their largest 4 MB, usually a tenth of one."""


class Exports:
    """What is particular to exports."""

    def tell(self, job: Job) -> ExportProgressed:
        """How far it is."""
        return ExportProgressed(job=to_resource(job))

    async def prepare(self, database: Database, job: Job) -> None:
        """Begin: which custom fields have a column is decided once."""
        async with database.tenant(job.tenant_id) as tx:
            before = await repository.lock(tx, KIND, job.id)
            if before is None or before.state != QUEUED:
                return
            keys = [one.key for one in await definitions.all_of(tx)]
            begun = {"options": {**before.options, "keys": keys}, "state": RUNNING}
            await progress.save(tx, before, before.model_copy(update=begun), self.tell)

    async def batch(self, tx: Transaction, job: Job) -> Job:
        """Write the next page; raises NotFoundError for a list that is gone, and InvalidError."""
        page = await _page(tx, job)
        contacts = page.data
        if job.options["masked"]:
            defined = await definitions.all_of(tx)
            contacts = [masked(contact, defined) for contact in contacts]
        format_, keys = job.options["format"], job.options["keys"]
        text = rendering.lines(format_, contacts, keys)
        if job.position == 0:
            text = rendering.beginning(format_, keys) + text
        piece = repository.part(tx, job.id, FILE, job.position, text.encode(), KEPT)
        await repository.put(tx, [piece])
        done = job.done + len(contacts)
        ended = {"state": COMPLETED, "total": done} if page.next_cursor is None else {}
        further = {"done": done, "position": job.position + 1, "cursor": page.next_cursor}
        return job.model_copy(update={**further, **ended})


async def _page(tx: Transaction, job: Job) -> Page[Contact]:
    """The next contacts, as the routes that show them find them, only more at once."""
    at_once = {"limit": BATCH_ROWS, "cursor": job.cursor}
    if (list_id := job.options["contact_list_id"]) is not None:
        listed = ListListed(list_id=list_id).model_copy(update=at_once)
        return await members.list_contacts(tx, listed, _call(job))
    filters = ExportFilter.model_validate(job.options["filters"])
    wanted = ListContacts.model_validate(filters.model_dump(by_alias=True, exclude_unset=True))
    return await listing.list_contacts(tx, wanted.model_copy(update=at_once))


def _call(job: Job) -> Call:
    return Call(Principal(tenant_id=job.tenant_id), job.correlation_id)


def to_resource(job: Job) -> ContactExport:
    """An export as customers see it."""
    return ContactExport.model_validate(
        {
            **job.model_dump(include=set(ContactExport.model_fields)),
            "format": job.options["format"],
            "masked": job.options["masked"],
            "failure": job.failure or None,
            "expires_at": job.created_at + KEPT,
        }
    )
