"""Messages that are changed on WhatsApp: from WAHA's webhook to the domain event, and back."""

import asyncio
from typing import Any

import pytest
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.faults import FaultKind
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import CUSTOMER, Shop
from shared_events.identity import conversation_id
from shared_events.messaging.message import ChangeKind

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


class TestAsked:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_changes_are_made_once_in_order_and_no_news_to_us(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        heard = await waha.receive_text("loja", "5511988880001", "pergunta")
        message_id = await company.write("um")
        bare = (await company.until_state(message_id, "sent"))["external_id"]
        named = {"external_id": bare, "times": 2}
        theirs = {"external_id": heard.bare_id, "from_us": False, "times": 2}
        wanted: list[tuple[ChangeKind, str, dict[str, Any]]] = [
            ("edit", "dois", named),
            ("reaction", "👍", theirs),
            ("reaction", "", theirs),
            ("revoke", "", {"times": 2}),
        ]
        for kind, content, target in wanted:
            last = await company.change(kind, message_id, content, **target)
        await company.until_state(last, "sent")
        await waha.settled()
        assert [(kind, what) for kind, _, what in waha.actions] == [
            ("edit", f"{bare} dois"),
            ("reaction", f"{heard.bare_id} 👍"),
            ("reaction", heard.bare_id),
            ("revoke", bare),
        ]
        # What comes after all its echoes is done on the phone, though it says the same.
        await waha.edit("loja", bare, "dois")
        (told,) = await company.until_told("channel.message_edited")
        assert (told["external_id"], told["from_us"]) == (bare, True)
        for quiet in ("channel.reaction_reported", "channel.message_revoked"):
            assert await company.told(quiet) == []
        assert len(await company.told("channel.message_sent")) == 1
        assert await company.told("channel.change_failed") == []

    @pytest.mark.parametrize(
        ("fault", "dropped", "state"),
        [
            ("error_after_accept", False, "sent"),  # the echo proves it
            ("error_after_accept", True, "sent"),  # the message says it
            ("error_before", True, "failed"),
        ],
    )
    async def test_unknown_outcome_is_found_out_and_never_repeated(
        self, company: Shop, waha: WahaSimulator, fault: FaultKind, state: str, *, dropped: bool
    ) -> None:
        await company.connect()
        message_id = await company.write("um")
        bare = (await company.until_state(message_id, "sent"))["external_id"]
        waha.faults.add(fault, times=1)
        if dropped:
            waha.faults.add("drop", event="message.edited")
        change_id = await company.change("edit", message_id, "dois", external_id=bare)
        await company.until_state(await company.write("depois"), "sent")
        row = await company.ledger(change_id)
        assert (row["state"], row["attempts"]) == (state, 1)
        failed = await company.told("channel.change_failed")
        assert [f["code"] for f in failed] == ([] if state == "sent" else ["outcome_unknown"])

    async def test_refused_is_told_and_holds_nobody_back(
        self, company: Shop, other_company: Shop
    ) -> None:
        for shop, session in ((company, "loja"), (other_company, "filial")):
            await shop.connect(session=session)
            message_id = await shop.write("um")
            await shop.until_state(message_id, "sent")
            change_id = await shop.change("edit", message_id, "dois", external_id="NOBODYS")
            await shop.until_state(change_id, "failed")
            await shop.until_state(await shop.write("depois"), "sent")
            (failed,) = await shop.told("channel.change_failed")
            assert (failed["change_id"], failed["code"]) == (str(change_id), "waha_rejected")
            assert failed["message_id"] == str(message_id)
            assert await shop.told("channel.message_failed") == []

    async def test_what_waits_and_is_taken_back_is_never_sent(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await other_company.connect(session="filial")
        waha.faults.add("refuse", session="loja")
        waiting = await company.write("nunca")
        await company.until_state(waiting, "pending")
        await other_company.change("revoke", waiting)  # no business of theirs
        kept = await company.write("depois")
        await company.change("revoke", waiting, times=2)
        (told,) = await company.until_told("channel.message_failed")
        assert (told["message_id"], told["code"]) == (str(waiting), "cancelled")
        waha.faults.clear()
        await company.until_state(kept, "sent")
        texts = [m.text for m in waha.sent.values() if m.chat == CUSTOMER]
        assert (texts, list(waha.actions)) == (["depois"], [])
        assert len(await company.told("channel.message_failed")) == 1
        assert await company.told("channel.change_failed") == []

    async def test_what_is_taken_back_while_waha_is_asked_is_not_asked_for_again(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.faults.add("refuse", session="loja", seconds=0.2)
        waiting = await company.write("nunca")
        await company.until_state(waiting, "sending")
        deletion = await company.change("revoke", waiting)
        (told,) = await company.until_told("channel.message_failed")
        assert (told["message_id"], told["code"]) == (str(waiting), "cancelled")
        waha.faults.clear()
        await company.until_state(deletion, "sent")
        await company.until_state(await company.write("depois"), "sent")
        assert [m.text for m in waha.sent.values() if m.chat == CUSTOMER] == ["depois"]
        assert await company.told("channel.change_failed") == []
