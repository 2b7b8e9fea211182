"""Where contacts came from, over the bus as the gateway asks for it."""

import asyncio
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_testing.scenes.contacts import Shop
from crm_testing.services import eventually
from shared_events import examples, topology
from shared_events.contacts.contact import CreateContact, DeleteContact
from shared_events.contacts.tracking import CreateTracking, ListTrackings

AD = {"click_id": "clid-9", "ad_id": "120210", "url": "https://fb.me/1", "title": "Bolos"}
PHONE = ("phone", "5511988880001")
QUEUE = topology.CONTACTS_CHANNEL_EVENTS.name
_LABELS = (
    *("platform", "campaign", "ad_id", "click_id"),
    *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
)
LONGEST = dict.fromkeys(_LABELS, "é" * 255)


async def contact(company: Shop) -> UUID:
    return UUID((await company.value(CreateContact(name="Maria")))["id"])


class TestCreateTracking:
    async def test_keeps_and_tells_everything_of_it(self, company: Shop) -> None:
        contact_id = await contact(company)
        given = {**examples.load_request("contacts.tracking.create"), "contact_id": contact_id}
        noted = await company.value(CreateTracking.model_validate(given))
        assert {**noted, "contact_id": contact_id}.items() >= given.items()
        (told,) = await company.outbox("tracking.created")
        assert (told["aggregate_id"], told["payload"]) == (contact_id, {"tracking": noted})
        (shown,) = (await company.value(ListTrackings(contact_id=contact_id)))["data"]
        assert {**shown, "enrichment": None} == noted

    async def test_takes_the_longest_values(self, company: Shop) -> None:
        wish = {**LONGEST, "ad_url": "https://a.example/" + "é" * 4000}
        noted = await company.value(
            CreateTracking.model_validate(
                {"contact_id": await contact(company), "source": "other", **wish}
            )
        )
        assert noted.items() >= wish.items()

    async def test_of_one_click_is_made_once_for_a_company(
        self, company: Shop, other_company: Shop
    ) -> None:
        contact_id, theirs = await asyncio.gather(contact(company), contact(other_company))
        clicked = CreateTracking(contact_id=contact_id, source="meta_ads", click_id="clid-1")
        replies = await asyncio.gather(*(company.ask(clicked) for _ in range(5)))
        (noted,) = (await company.value(ListTrackings(contact_id=contact_id)))["data"]
        refused = [reply.problem for reply in replies if reply.problem]
        assert [(p.code, p.extra["existing_id"]) for p in refused] == [
            ("click_tracked", noted["id"])
        ] * 4
        assert len(await company.outbox("tracking.created")) == 1
        await other_company.value(clicked.model_copy(update={"contact_id": theirs}))

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"conversion_data": {"a": "x" * 17_000}}, "/conversion_data"),
            ({"conversion_data": {"a": 2**70}}, "/conversion_data"),
        ],
    )
    async def test_refuses_too_much_data(
        self, company: Shop, wrong: dict[str, Any], field: str
    ) -> None:
        asked = CreateTracking(contact_id=await contact(company), source="other", **wrong)
        problem = await company.problem(asked)
        assert [error.pointer for error in problem.errors] == [field]

    @pytest.mark.parametrize(
        "wrong", [{"source": "telegram"}, {"utm_term": "x" * 256}, {"click_id": ""}]
    )
    def test_is_bounded(self, wrong: dict[str, str]) -> None:
        given = {"contact_id": uuid4(), "source": "other", **wrong}
        with pytest.raises(ValueError, match="validation error"):
            CreateTracking.model_validate(given)


class TestListTrackings:
    async def test_shows_the_latest_first_page_by_page(self, company: Shop) -> None:
        contact_id, another = await contact(company), await contact(company)
        for source in ("organic", "direct", "referral"):
            await company.value(CreateTracking(contact_id=contact_id, source=source))
        await company.value(CreateTracking(contact_id=another, source="other"))
        page = await company.value(ListTrackings(contact_id=contact_id, limit=2))
        assert [t["source"] for t in page["data"]] == ["referral", "direct"]
        rest = await company.value(ListTrackings(contact_id=contact_id, cursor=page["next_cursor"]))
        assert [t["source"] for t in rest["data"]] == ["organic"]


async def test_nobody_else_reads_or_writes_them_and_nobody_those_of_who_is_gone(
    company: Shop, other_company: Shop
) -> None:
    contact_id = await contact(company)
    asked = (
        CreateTracking(contact_id=contact_id, source="direct"),
        ListTrackings(contact_id=contact_id),
    )
    for request in asked:
        assert await other_company.refusal(request) == ("not_found", "contact_not_found")
    await company.value(DeleteContact(contact_id=contact_id))
    for request in asked:
        assert await company.refusal(request) == ("not_found", "contact_not_found")


class TestReferral:
    """WhatsApp says in somebody's first message by which advertisement they came."""

    async def test_makes_a_tracking_once_for_each_company(
        self, company: Shop, other_company: Shop
    ) -> None:
        for shop in (company, other_company):
            message = shop.message(PHONE, details={"referral": {**AD, "app": "instagram"}})
            again = shop.message(PHONE, details={"referral": AD})
            plain = shop.message(PHONE)
            sent = shop.message(
                PHONE, details={"referral": {"click_id": "ours"}}, direction="outbound"
            )
            for each in (message, again, plain, sent):
                told = await shop.publish(each)
            await eventually(partial(shop.applied, told, QUEUE))
            (contact,) = await shop.contacts()
            shown = await shop.value(ListTrackings(contact_id=contact["id"]))
            (tracking,) = shown["data"]
            assert (tracking["source"], tracking["platform"]) == ("meta_ads", "instagram")
            assert (tracking["click_id"], tracking["ad_id"]) == ("clid-9", "120210")
            assert tracking["conversion_data"] == {"title": "Bolos"}
            (created,) = await shop.outbox("tracking.created")
            assert created["payload"]["tracking"]["id"] == tracking["id"]
            assert created["causation_id"] is not None

    @pytest.mark.parametrize("said", ["x", {"click_id": 7}, {"ad_id": "x" * 256}])
    async def test_that_cannot_be_read_costs_nobody_the_message(
        self, company: Shop, said: Any
    ) -> None:
        await company.receive(PHONE, details={"referral": said})
        (contact,) = await company.contacts()
        assert (await company.value(ListTrackings(contact_id=contact["id"])))["data"] == []
