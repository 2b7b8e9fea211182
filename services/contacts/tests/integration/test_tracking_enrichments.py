"""Trackings are read when they are told of, as `contact.events.enrichment` brings them."""

import asyncio
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from crm_contacts.trackings.enriching import on_created
from crm_testing.scenes.contacts import Shop, apply, delivered
from crm_testing.services import eventually
from shared_events.contacts.contact import CreateContact
from shared_events.contacts.merge import MergeContacts
from shared_events.contacts.timeline import ListTimeline
from shared_events.contacts.tracking import (
    CreateTracking,
    ListTrackings,
    Tracking,
    TrackingCreated,
)

LANDING = "https://shop.example/bolos?gclid=g-1&utm_source=google"
LONG = "é" * 255


async def contact(company: Shop) -> UUID:
    return UUID((await company.value(CreateContact(name="Maria")))["id"])


async def shown(company: Shop, contact_id: UUID) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = (await company.value(ListTrackings(contact_id=contact_id)))["data"]
    return data


async def is_read(company: Shop, contact_id: UUID) -> bool:
    return all(one["enrichment"] for one in await shown(company, contact_id))


async def test_a_tracking_is_read_and_told_of_for_each_company(
    company: Shop, other_company: Shop
) -> None:
    for shop, url in ((company, LANDING), (other_company, f"https://a.example/?utm_term={LONG}")):
        contact_id = await contact(shop)
        made = CreateTracking(
            contact_id=contact_id, source="google_ads", conversion_data={"landing_url": url}
        )
        noted = await shop.value(made)
        await eventually(partial(is_read, shop, contact_id))
        (tracking,) = await shown(shop, contact_id)
        (told,) = await shop.outbox("tracking.enriched")
        assert told["payload"] == {"tracking": tracking}
        assert told["aggregate_id"] == contact_id
        (created,) = await shop.outbox("tracking.created")
        assert told["causation_id"] == created["event_id"]
        assert tracking == {**noted, "enrichment": tracking["enrichment"]}
    assert tracking["enrichment"]["utm_term"] == LONG
    assert tracking["enrichment"]["platform"] == "google"


async def test_many_of_several_companies_are_read_together(
    company: Shop, other_company: Shop
) -> None:
    whose = [(shop, await contact(shop)) for shop in (company, other_company)]
    for shop, contact_id in whose:
        made = CreateTracking(contact_id=contact_id, source="direct")
        await asyncio.gather(*(shop.value(made) for _ in range(20)))
    for shop, contact_id in whose:
        await eventually(partial(is_read, shop, contact_id))
        assert len(await shop.outbox("tracking.enriched")) == 20


async def test_what_is_gone_or_anothers_is_not_read(company: Shop, other_company: Shop) -> None:
    contact_id = await contact(company)
    noted = await company.value(CreateTracking(contact_id=contact_id, source="direct"))
    await eventually(partial(is_read, company, contact_id))
    theirs = Tracking.model_validate(noted)
    gone = theirs.model_copy(update={"id": uuid4()})
    events = [
        delivered(other_company.id, TrackingCreated(tracking=theirs)),
        delivered(company.id, TrackingCreated(tracking=gone)),
    ]
    await apply(company.database, on_created, events)
    assert await other_company.outbox("tracking.enriched") == []
    assert len(await company.outbox("tracking.enriched")) == 1


async def test_told_twice_it_is_read_once(company: Shop) -> None:
    contact_id = await contact(company)
    noted = await company.value(CreateTracking(contact_id=contact_id, source="direct"))
    await eventually(partial(is_read, company, contact_id))
    before = await shown(company, contact_id)
    again = delivered(company.id, TrackingCreated(tracking=Tracking.model_validate(noted)))
    await apply(company.database, on_created, [again, again])
    assert await shown(company, contact_id) == before


async def test_one_that_a_merge_moved_is_its_new_contacts(company: Shop) -> None:
    winner, loser = await contact(company), await contact(company)
    noted = await company.value(CreateTracking(contact_id=loser, source="direct"))
    await eventually(partial(is_read, company, loser))
    await company.value(MergeContacts(contact_id=winner, loser_id=loser))
    assert await is_read(company, winner)
    again = delivered(company.id, TrackingCreated(tracking=Tracking.model_validate(noted)))
    await apply(company.database, on_created, [again])
    told = await company.outbox("tracking.enriched")
    assert told[-1]["aggregate_id"] == winner
    assert told[-1]["payload"]["tracking"]["contact_id"] == str(winner)


async def test_it_adds_nothing_to_the_timeline(company: Shop) -> None:
    contact_id = await contact(company)
    await company.value(CreateTracking(contact_id=contact_id, source="direct"))
    await eventually(partial(is_read, company, contact_id))

    async def entries() -> list[str]:
        page = await company.value(ListTimeline(contact_id=contact_id, category="tracking"))
        return [entry["type"] for entry in page["data"]]

    await eventually(lambda: _equal(entries, ["tracking.created"]))


async def _equal(ask: Any, wanted: Any) -> bool:
    return bool(await ask() == wanted)
