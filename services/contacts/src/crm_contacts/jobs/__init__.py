"""Jobs: imports, exports and subject exports, worked on a batch at a time behind their requests.

Temporal's sandbox imports this package for the workflow alone, so the door imports what it needs
only when it is opened.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service_kit.service import Service

    from crm_contacts.settings import ContactsSettings


def add_to(service: "Service", settings: "ContactsSettings") -> None:
    """What is asked about jobs of every kind, and whoever works on them."""
    from crm_contacts import exports, imports, subject_exports
    from crm_contacts.jobs.dispatch import Dispatch, starter
    from crm_contacts.jobs.runner import Kind, Runner

    kinds: dict[str, Kind] = {
        imports.KIND: imports.Imports(settings.default_region),
        exports.KIND: exports.Exports(),
        subject_exports.KIND: subject_exports.SubjectExports(),
    }
    runner = Runner(service.database, kinds)
    start = None
    if service.temporal is not None:
        from crm_contacts.jobs.activities import JobActivities

        start = starter(service.temporal)
        service.temporal.worker(JobActivities(runner).worker)
    dispatch = Dispatch(service.database, runner, start)
    service.background("jobs", dispatch.run)
    service.background("purge-jobs", dispatch.purge)
    imports.add_to(service, dispatch.wake)
    exports.add_to(service, dispatch.wake)
    subject_exports.add_to(service, dispatch.wake)
