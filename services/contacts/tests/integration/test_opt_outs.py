"""Who wants no messages, over the bus as the gateway asks."""

from typing import Any
from uuid import UUID, uuid4

from crm_testing.scenes.contacts import Shop
from crm_testing.services import eventually
from shared_events.contacts.contact import CreateContact
from shared_events.contacts.erasure import ApproveErasure, RequestErasure
from shared_events.contacts.merge import MergeContacts
from shared_events.contacts.opt_out import ListOptOuts, PutOptOut, RemoveOptOut
from shared_events.contacts.timeline import ListTimeline
from shared_events.requests import Principal

LONGEST = "ã" * 1000
CHANNEL = uuid4()


async def opt_outs(company: Shop, contact_id: UUID) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = (await company.value(ListOptOuts(contact_id=contact_id)))["data"]
    return data


class TestOptOuts:
    async def test_are_noted_once_told_of_and_taken_back(
        self, company: Shop, other_company: Shop
    ) -> None:
        made = await company.value(CreateContact(name="Ana"))
        her = UUID(made["id"])
        out = PutOptOut(contact_id=her, channel_id=CHANNEL, reason=LONGEST, source="import")
        noted = await company.value(out)
        assert await company.value(out) == noted  # the same again is no news
        everywhere = await company.value(PutOptOut(contact_id=her, channel_id="all"))
        assert (noted["channel_id"], noted["reason"], noted["source"]) == (
            *(str(CHANNEL), LONGEST),
            "import",
        )
        assert (everywhere["channel_id"], everywhere["source"]) == ("all", "agent")
        assert everywhere["opted_out_by"] == str(company.user_id)
        assert await opt_outs(company, her) == [everywhere, noted]
        told = [one["opt_out"] for one in await company.told("contact.opted_out")]
        assert told == [noted, everywhere]

        key = Principal(tenant_id=company.id, api_key_id=uuid4())
        by_key = await company.outside.client.call(
            PutOptOut(contact_id=her, channel_id="all", reason="x"),
            principal=key,
            correlation_id="req-key",
        )
        assert by_key.value is not None
        assert (by_key.value["source"], by_key.value["opted_out_by"]) == ("api", None)
        missing = ("not_found", "contact_not_found")
        for request in (out, RemoveOptOut(contact_id=her, channel_id="all")):
            assert await other_company.refusal(request) == missing
        assert await other_company.refusal(ListOptOuts(contact_id=her)) == missing

        back = RemoveOptOut(contact_id=her, channel_id=CHANNEL)
        await company.value(back)
        assert await company.refusal(back) == ("not_found", "opt_out_not_found")
        assert [one["channel_id"] for one in await opt_outs(company, her)] == ["all"]
        (told_back,) = await company.told("contact.opted_in")
        assert told_back == {"contact_id": str(her), "channel_id": str(CHANNEL)}

        async def written() -> bool:
            page = await company.value(ListTimeline(contact_id=her))
            types = [entry["type"] for entry in page["data"]]
            return types.count("contact.opted_out") == 3 and "contact.opted_in" in types

        await eventually(written)

    async def test_go_over_to_the_winner_and_go_with_who_is_erased(
        self, company: Shop, other_company: Shop
    ) -> None:
        ids = []
        for shop in (company, company, other_company):
            made = await shop.value(CreateContact(name="Ana"))
            ids.append(UUID(made["id"]))
            await shop.value(PutOptOut(contact_id=ids[-1], channel_id="all", reason=made["id"]))
        winner, loser, theirs = ids
        await company.value(PutOptOut(contact_id=loser, channel_id=CHANNEL, reason="loser"))
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        found = await opt_outs(company, winner)
        assert [(one["channel_id"], one["reason"]) for one in found] == [
            ("all", str(winner)),
            (str(CHANNEL), "loser"),
        ]
        last = (await company.told("contact.opted_out"))[-1]["opt_out"]
        assert (last["contact_id"], last["channel_id"]) == (str(winner), str(CHANNEL))
        assert len(await company.told("contact.opted_out")) == 4  # its own is no news

        asked = await company.value(RequestErasure(contact_id=winner))
        admin = Principal(tenant_id=company.id, user_id=uuid4())
        approved = await company.outside.client.call(
            ApproveErasure(erasure_id=asked["id"]), principal=admin, correlation_id="req-erase"
        )
        assert approved.problem is None
        assert not await company.rows("SELECT 1 FROM contact_opt_outs")
        gone = PutOptOut(contact_id=winner, channel_id="all")
        assert await company.refusal(gone) == ("gone", "contact_erased")
        assert len(await opt_outs(other_company, theirs)) == 1
