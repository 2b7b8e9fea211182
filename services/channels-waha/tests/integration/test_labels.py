"""Labels: what they are called, which chats have them, and what WAHA is asked for."""

import time
from typing import Any
from uuid import uuid4

import orjson
import pytest
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Shop
from crm_testing.services import eventually
from shared_events.channels.label import ListLabels
from shared_events.identity import conversation_id

ANA = "5511988880001"
GROUP = "120363000000000001@g.us"
NOVO = {"id": "1", "name": "Novo", "color": "#64c4ff"}
TELLING: list[Engine] = ["GOWS", "NOWEB"]
NOW = int(time.time() * 1000) - 1_200_000


async def listed(shop: Shop) -> list[dict[str, Any]]:
    """The channel's labels, as who asks for them sees them."""
    found: list[dict[str, Any]] = (await shop.value(ListLabels(channel_id=shop.channel_id)))["data"]
    return found


async def on_chats(shop: Shop) -> list[tuple[str, bool, str | None]]:
    """What was told of chats: which, whether it has the label, what that is called."""
    told = await shop.told("channel.chat_labelled")
    return [(one["chat_id"], one["labelled"], one["label"]["name"]) for one in told]


async def until_read(shop: Shop) -> None:
    """Wait until what there is to ask WAHA for was asked."""

    async def look() -> bool:
        rows = await shop.rows("SELECT due_at FROM label_looks")
        return bool(rows) and all(row["due_at"] is None for row in rows)

    await eventually(look)


def raw(event: str, payload: dict[str, Any], at: int = 0, session: str = "loja") -> bytes:
    """A body, told so many milliseconds after another."""
    told = {"timestamp": NOW + at, "session": session}
    return orjson.dumps({"event": event, "payload": payload, **told})


def label(name: str, label_id: str = "1") -> dict[str, Any]:
    return {"id": label_id, "name": name, "color": 1, "colorHex": "#64c4ff"}


class TestOwner:
    @pytest.mark.parametrize("engine", TELLING)
    async def test_names_a_label_and_puts_it_on_chats(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        _, told = waha.labels.name("loja", "Novo", color=1)
        await waha.settled(told)
        await company.until_told("channel.label_changed")
        for chat in (ANA, "77@lid", GROUP):
            await waha.settled(waha.labels.put_on("loja", chat, "1"))
        await company.until_told("channel.chat_labelled", 3)
        await waha.settled(waha.labels.take_off("loja", ANA, "1"))
        await company.until_told("channel.chat_labelled", 4)
        assert sorted(await on_chats(company)) == sorted(
            [
                (f"{ANA}@c.us", True, "Novo"),
                ("77@lid", True, "Novo"),
                (GROUP, True, "Novo"),
                (f"{ANA}@c.us", False, "Novo"),
            ]
        )
        outbox = await company.outbox("channel.chat_labelled")
        assert {row["aggregate_id"] for row in outbox} == {
            conversation_id(company.channel_id, chat) for chat in (f"{ANA}@c.us", "77@lid", GROUP)
        }
        assert await listed(company) == [NOVO]

    async def test_changes_a_label_and_deletes_it(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        waha.labels.name("loja", "Novo", color=1)
        await company.until_told("channel.label_changed")
        waha.labels.name("loja", "Pago", label_id="1", color=1)
        await company.until_told("channel.label_changed", 2)
        assert await listed(company) == [{**NOVO, "name": "Pago"}]
        waha.labels.delete("loja", "1")
        *_, gone = await company.until_told("channel.label_changed", 3)
        assert (gone["label"]["name"], gone["deleted"]) == ("Pago", True)
        assert gone["channel"] == {"id": str(company.channel_id), "name": "Loja"}
        assert await listed(company) == []

    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    async def test_had_labels_before_we_listened(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        waha.labels.book("loja").labels["1"] = label("Novo")
        await company.connect(engine)
        await company.until_told("channel.label_changed")
        await until_read(company)
        assert await listed(company) == [NOVO]


class TestUnknown:
    async def test_label_is_kept_and_asked_for(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        await until_read(company)
        waha.faults.add("label_error", times=1)
        await waha.settled(waha.labels.put_on("loja", ANA, "7"))
        await company.until_told("channel.chat_labelled")
        assert await on_chats(company) == [(f"{ANA}@c.us", True, None)]
        assert await listed(company) == [{"id": "7", "name": None, "color": None}]
        waha.labels.book("loja").labels["7"] = label("VIP", "7")

        async def failed() -> bool:
            (row,) = await company.rows("SELECT attempts FROM label_looks")
            return bool(row["attempts"])

        await eventually(failed)
        async with company.database.tenant(company.id) as tx:
            await tx.execute("UPDATE label_looks SET due_at = now()")
        (told,) = await company.until_told("channel.label_changed")
        assert told["label"]["name"] == "VIP"
        await until_read(company)
        await waha.settled(waha.labels.take_off("loja", ANA, "7"))
        await company.until_told("channel.chat_labelled", 2)
        assert (await on_chats(company))[-1] == (f"{ANA}@c.us", False, "VIP")


class TestDeliveries:
    async def test_twice_is_once(self, company: Shop) -> None:
        await company.connect()
        for _ in range(3):
            await company.hears("label.upsert", raw("label.upsert", label("Novo")))
        assert len(await company.told("channel.label_changed")) == 1

    async def test_late_ones_undo_nothing(self, company: Shop) -> None:
        await company.connect()
        await company.hears("label.upsert", raw("label.upsert", label("Pago"), 20))
        await company.hears("label.upsert", raw("label.upsert", label("Novo"), 10))
        assert await listed(company) == [{**NOVO, "name": "Pago"}]
        await company.hears("label.deleted", raw("label.deleted", label("Pago"), 40))
        await company.hears("label.upsert", raw("label.upsert", label("Antigo"), 30))
        assert await listed(company) == []
        assert len(await company.told("channel.label_changed")) == 2

    async def test_of_another_session_are_kept(self, company: Shop) -> None:
        await company.connect()
        body = raw("label.upsert", label("Alheio"), session="antiga")
        await company.hears("label.upsert", body)
        on_chat = {"labelId": "1", "chatId": f"{ANA}@c.us", "label": label("Alheio")}
        body = raw("label.chat.added", on_chat, session="antiga")
        await company.hears("label.chat.added", body)
        assert await listed(company) == []
        assert await company.told("channel.chat_labelled") == []
        kept = await company.rows("SELECT reason FROM raw_events")
        assert [row["reason"] for row in kept] == ["another session"] * 2

    async def test_chat_tells_what_its_label_is_called(self, company: Shop) -> None:
        await company.connect()
        on_chat = {"labelId": "1", "chatId": f"{ANA}@c.us", "label": label("Novo")}
        await company.hears("label.chat.added", raw("label.chat.added", on_chat, 20))
        await company.hears("label.upsert", raw("label.upsert", label("Antigo"), 10))
        assert await listed(company) == [NOVO]
        await company.hears("label.chat.added", raw("label.chat.added", {**on_chat, "label": None}))
        assert await on_chats(company) == [(f"{ANA}@c.us", True, "Novo")] * 2

    async def test_phone_behind_a_hidden_id_is_told_where_it_is_known(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await waha.receive_text("loja", ANA, "Oi", lid="77")
        await company.until_told("channel.message_received")
        await company.hears(
            "label.chat.added", raw("label.chat.added", {"labelId": "1", "chatId": "77@lid"})
        )
        (told,) = await company.told("channel.chat_labelled")
        assert [i["value"] for i in told["person"]["identities"]] == [ANA, "77"]


class TestApart:
    async def test_equal_ids_of_channels_and_companies_are_others(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await other_company.connect(session="alheia")
        await other_company.hears(
            "label.upsert", raw("label.upsert", label("Alheio"), session="alheia")
        )
        first = await company.connect()
        await company.hears("label.upsert", raw("label.upsert", label("Novo")))
        await company.connect(session="filial")
        await company.hears("label.upsert", raw("label.upsert", label("Filial"), session="filial"))
        assert [one["name"] for one in await listed(company)] == ["Filial"]
        assert [one["name"] for one in await listed(other_company)] == ["Alheio"]
        company.channel_id = first
        assert [one["name"] for one in await listed(company)] == ["Novo"]

    async def test_of_no_channel_of_ours_are_not_there(
        self, company: Shop, other_company: Shop
    ) -> None:
        await other_company.connect(session="alheia")
        for channel_id in (other_company.channel_id, uuid4()):
            refusal = await company.refusal(ListLabels(channel_id=channel_id))
            assert refusal == ("not_found", "channel_not_found")
