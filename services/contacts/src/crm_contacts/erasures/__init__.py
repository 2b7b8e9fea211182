"""Forgetting a person: asked for, approved, done in every service, certified (docs/adr/0022)."""

from service_kit.erasing import Erasures, Pass
from service_kit.service import Service
from shared_events.channels.erasure import ErasedByChannels
from shared_events.contacts import erasure
from shared_events.gateway.erasure import ErasedByGateway
from shared_events.messaging.erasure import ErasedByMessaging
from shared_events.topology import CONTACT_ENRICHMENT, CONTACTS_ERASURES
from shared_events.webhooks.erasure import ErasedByWebhooks

from crm_contacts.erasures import repository, requests
from crm_contacts.erasures.stages import Stages


def add_to(service: Service) -> None:
    """What is asked about erasures, what services report, and this service's own part."""
    service.answer(erasure.RequestErasure, requests.request)
    service.answer(erasure.ApproveErasure, requests.approve)
    service.answer(erasure.GetErasure, requests.get)
    service.answer(erasure.PlaceLegalHold, requests.place_hold)
    service.answer(erasure.GetLegalHold, requests.get_hold)
    service.answer(erasure.LiftLegalHold, requests.lift_hold)
    own = Erasures(service, erasure.ErasedByContacts, _erase)
    stages = Stages(own)
    service.ignore(CONTACTS_ERASURES, erasure.ErasureStarted)
    for report in (
        erasure.ErasedByContacts,
        ErasedByMessaging,
        ErasedByChannels,
        ErasedByGateway,
        ErasedByWebhooks,
    ):
        service.on(CONTACTS_ERASURES, report, stages.on_reported, together=True)
    service.ignore(CONTACT_ENRICHMENT, erasure.ContactErased)


async def _erase(one: Pass) -> None:
    """What came about the contact while it was erased, or after; files that may name it."""
    for table in repository.TABLES:
        await one.erase(table, repository.LEFT_BEHIND.format(table=table), one.contacts)
    await one.erase("contact_merges", repository.MERGES_LEFT_BEHIND, one.contacts)
    await one.erase("job_parts", repository.JOB_PARTS, one.erased_at, one.contacts)
    await one.erase("jobs", repository.JOBS, one.erased_at)
