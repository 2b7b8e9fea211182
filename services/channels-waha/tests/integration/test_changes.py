"""Messages that are changed on WhatsApp, from WAHA's webhook to the domain event."""

import asyncio

import pytest
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Shop
from shared_events.identity import conversation_id

ENGINES: list[Engine] = ["GOWS", "NOWEB", "WEBJS"]


class TestOnTheirPhone:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_edit_reaction_and_deletion_name_the_message(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        said = await waha.receive_text("loja", "5511988880001", "um")
        await company.until_told("channel.message_received")
        await waha.edit("loja", said.bare_id, "dois")
        await waha.react("loja", said.bare_id, "👍")
        (reacted,) = await company.until_told("channel.reaction_reported")
        assert (reacted["external_id"], reacted["emoji"]) == (said.bare_id, "👍")
        assert (reacted["from_us"], reacted["person"]["identities"][0]["kind"]) == (False, "phone")
        (edited,) = await company.until_told("channel.message_edited")
        assert (edited["external_id"], edited["content"]) == (said.bare_id, "dois")
        assert edited["person"]["identities"] == [{"kind": "phone", "value": "5511988880001"}]
        assert edited["from_us"] is False
        await waha.revoke("loja", said.bare_id)
        (revoked,) = await company.until_told("channel.message_revoked")
        assert revoked["external_id"] == said.bare_id
        (event,) = await company.outbox("channel.message_edited")
        assert event["aggregate_id"] == conversation_id(company.channel_id, "5511988880001@c.us")
        assert len(await company.told("channel.message_received")) == 1

    async def test_of_two_companies_each_hears_its_own(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        pair = ((company, "loja"), (other_company, "filial"))
        for shop, session in pair:
            await shop.connect(session=session)
            await waha.receive_text(session, None, "um", lid="77", bare_id=f"IN-{session}")
            await shop.until_told("channel.message_received")
        # By then one of them knows who hides behind the id.
        await waha.receive_text("loja", "5511988880001", "oi", lid="77")
        await company.until_told("channel.message_received", 2)
        await asyncio.gather(*(waha.edit(s, f"IN-{s}", f"dois {s}") for _, s in pair))
        for shop, session in pair:
            (edited,) = await shop.until_told("channel.message_edited")
            assert edited["content"] == f"dois {session}"
            kinds = [identity["kind"] for identity in edited["person"]["identities"]]
            assert kinds == (["phone", "lid"] if shop is company else ["lid"])
