"""Jobs: imports, exports and subject exports, worked on a batch at a time behind their requests."""

from datetime import timedelta
from functools import partial

from service_kit.jobs.dispatch import see_to
from service_kit.purging import purge_forever
from service_kit.service import Service

from crm_contacts import exports, imports, subject_exports
from crm_contacts.jobs import repository
from crm_contacts.jobs.runner import Runner
from crm_contacts.settings import ContactsSettings


def add_to(service: Service, settings: ContactsSettings) -> None:
    """What is asked about jobs of every kind, and whoever works on them."""
    kept = timedelta(days=settings.job_retention_days)
    runner = Runner(
        service.database,
        {
            imports.KIND: imports.Imports(settings.default_region, kept),
            exports.KIND: exports.Exports(),
            subject_exports.KIND: subject_exports.SubjectExports(),
        },
    )
    dispatch = see_to(service, "jobs", repository.due, runner.advance)
    service.background(
        "purge-jobs",
        partial(
            purge_forever,
            service.database,
            "jobs",
            partial(repository.purge, kept=kept),
            every_seconds=600,
        ),
    )
    imports.add_to(service, dispatch.wake)
    exports.add_to(service, dispatch.wake)
    subject_exports.add_to(service, dispatch.wake)
