"""What became of messages while nobody listened: as far as the engine's history shows it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crm_channels_waha.liveness.watch import Watch
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Shop
from crm_testing.services import eventually
from service_kit.jobs import dispatch
from shared_events.channels.channel import GetChannelHealth
from shared_events.channels.history import CreateHistoryImport, GetHistoryImport

MARIA = "5511988880001"
GROUP = "120363000000000001@g.us"
FEW = timedelta(minutes=2)
KINDS = ("edits", "revocations", "reactions", "receipts")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "LOOK_SECONDS", 0.05)


def minutes_ago(minutes: float) -> int:
    return int(datetime.now(UTC).timestamp() - minutes * 60)


async def said_before(company: Shop, waha: WahaSimulator, engine: Engine) -> str:
    """Messages of an hour's half ago; returns the id of one that we wrote."""
    await company.connect(engine)
    ours = waha.session("loja")
    message_id = await company.write("Já enviamos")
    sent: str = (await company.until_state(message_id, "sent"))["external_id"]
    ours.messages[sent].timestamp = minutes_ago(31)
    for n, text in enumerate(("errado", "apagada", "obrigada")):
        await waha.receive_text("loja", MARIA, text, timestamp=minutes_ago(30 - n), bare_id=text)
    return sent


async def happens(waha: WahaSimulator, sent: str) -> None:
    """What people do to these messages."""
    await waha.edit("loja", "errado", "certo")
    await waha.revoke("loja", "apagada")
    await waha.react("loja", "obrigada", "❤️")
    await waha.ack("loja", sent, "READ")


async def changes(company: Shop) -> dict[str, list[Any]]:
    """What was told of history's changes, by kind."""
    pages = await company.told("channel.changes_read")
    return {kind: [each for page in pages for each in page[kind]] for kind in KINDS}


class TestRecovered:
    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    async def test_as_far_as_the_engine_keeps_it(
        self, company: Shop, waha: WahaSimulator, watch: Watch, engine: Engine
    ) -> None:
        sent = await said_before(company, waha, engine)
        await company.until_told("channel.message_received", 3)
        await company.rows("UPDATE hearings SET said_at = now() - interval '25 minutes'")
        await waha.deafen("loja")
        await happens(waha, sent)
        await waha.receive_text("loja", MARIA, "alô?", timestamp=minutes_ago(5))

        async def recovered() -> Any:
            await watch.look()
            return await company.told("channel.changes_read")

        (page,) = await eventually(recovered)
        assert page["notify"]
        found = await changes(company)
        assert [(r["external_id"], r["status"]) for r in found["receipts"]] == [(sent, "read")]
        kept = {"NOWEB": ("edits", "reactions"), "WEBJS": ("edits", "revocations")}
        for kind in KINDS[:3]:
            assert bool(found[kind]) == (kind in kept.get(engine, ())), kind
        for edit in found["edits"]:
            assert (edit["external_id"], edit["content"]) == ("errado", "certo")
            assert datetime.now(UTC) - datetime.fromisoformat(edit["edited_at"]) < FEW
        for reaction in found["reactions"]:
            assert (reaction["external_id"], reaction["emoji"]) == ("obrigada", "❤️")
            assert not reaction["from_us"]
        assert [r["external_id"] for r in found["revocations"]] in ([], ["apagada"])
        # Of what was said before the gap nothing is told but what became of it.
        read = await company.told("channel.history_read")
        texts = {m["content"] for told in read for m in told["messages"]}
        assert texts == ({"alô?", "certo"} if engine == "NOWEB" else {"alô?"})

    async def test_an_edit_that_was_heard_is_no_sign_of_deafness(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await company.connect("NOWEB")
        await waha.receive_text("loja", MARIA, "errado", timestamp=minutes_ago(9), bare_id="E1")
        await company.until_told("channel.message_received")
        await company.rows("UPDATE hearings SET said_at = now() - interval '9 minutes'")
        await waha.edit("loja", "E1", "certo")
        await company.until_told("channel.message_edited")
        await watch.look()
        health = await company.value(GetChannelHealth(channel_id=company.channel_id))
        assert (health["last_probe"]["outcome"], health["repairs"]) == ("heard", 0)


class TestImported:
    async def test_quietly_and_of_a_groups_members(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        sent = await said_before(company, waha, "NOWEB")
        member = f"{MARIA}@c.us"
        said = await waha.sent_from_phone("loja", GROUP, "Aviso")
        said.timestamp = minutes_ago(20)
        await waha.ack("loja", said.bare_id, "DEVICE", participant=member)
        await waha.ack("loja", said.bare_id, "READ", participant=member)
        await waha.react("loja", said.bare_id, "🎉", by=member)
        await happens(waha, sent)
        asked = CreateHistoryImport(channel_id=company.channel_id)
        job = await company.value(asked)

        async def finished() -> Any:
            state = await company.value(GetHistoryImport(history_import_id=job["id"]))
            return state["finished_at"]

        await eventually(finished)
        pages = await company.told("channel.changes_read")
        assert not any(page["notify"] for page in pages)
        found = await changes(company)
        members = [(r["status"], r["participant"]) for r in found["receipts"] if r["participant"]]
        assert members == [("delivered", member), ("read", member)]
        assert [(r["external_id"], r["emoji"]) for r in found["reactions"]].count(
            (said.bare_id, "🎉")
        ) == 1
