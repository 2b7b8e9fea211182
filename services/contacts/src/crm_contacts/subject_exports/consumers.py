"""What other services say of their part of subject exports."""

from collections.abc import Sequence

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.jobs.states import ENDED
from shared_events.messaging.subject_export import SubjectMessagesGathered
from shared_events.services import MESSAGING

from crm_contacts.jobs import progress, repository
from crm_contacts.subject_exports.job import gathered, tell


async def on_gathered(tx: Transaction, events: Sequence[Event[SubjectMessagesGathered]]) -> None:
    """Note how far messaging is; what is said of a job that has ended means nothing."""
    latest = {(event.tenant_id, event.data.export_id): event.data for event in events}
    jobs = await repository.lock_many(tx, latest)
    changed = [
        (job, gathered(job, MESSAGING.name, said.done, said.total, complete=said.complete))
        for key, said in latest.items()
        if (job := jobs.get(key)) is not None and job.state not in ENDED
    ]
    await progress.save_all(tx, changed, tell)
