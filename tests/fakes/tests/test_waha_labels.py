"""Labels: what an account has, who changes it, and what each engine tells of it."""

from typing import Any

import pytest

PERSON = "5511988880001"
LABELS = "/api/loja/labels"
TOLD = ["label.upsert", "label.deleted", "label.chat.added", "label.chat.deleted"]
EVENTS = ["session.status", *TOLD]


def told(shop: Any) -> list[tuple[str, Any]]:
    """What was told of labels, by kind."""
    found = [(r.json["event"], r.json["payload"]) for r in shop.receiver.requests]
    return sorted((one for one in found if one[0] in TOLD), key=lambda one: TOLD.index(one[0]))


class TestApi:
    async def test_labels_are_made_changed_and_deleted(self, shop: Any) -> None:
        await shop.open()
        status, made = await shop.call("POST", LABELS, {"name": "Novo", "colorHex": "#64c4ff"})
        assert (status, made) == (
            201,
            {"id": "1", "name": "Novo", "color": 1, "colorHex": "#64c4ff"},
        )
        await shop.call("PUT", f"{LABELS}/1", {"name": "Pago", "color": 0})
        _, labels = await shop.call("GET", LABELS)
        assert labels == [{"id": "1", "name": "Pago", "color": 0, "colorHex": "#ff9485"}]
        assert (await shop.call("PUT", f"{LABELS}/7", {"name": "?"}))[0] == 404
        assert (await shop.call("POST", LABELS, {"name": ""}))[0] == 400
        assert (await shop.call("DELETE", f"{LABELS}/1"))[0] == 200
        assert (await shop.call("GET", LABELS))[1] == []

    async def test_put_replaces_all_that_a_chat_has(self, shop: Any) -> None:
        await shop.open()
        for name in ("A", "B", "C"):
            await shop.call("POST", LABELS, {"name": name})
        chat = f"{LABELS}/chats/{PERSON}%40c.us"
        for wanted in (["1", "2"], ["2", "3"]):
            await shop.call("PUT", chat, {"labels": [{"id": one} for one in wanted]})
        _, on_it = await shop.call("GET", chat)
        assert [label["name"] for label in on_it] == ["B", "C"]
        assert (await shop.call("PUT", chat, {"labels": "2"}))[0] == 400

    async def test_wants_a_session_that_works(self, shop: Any) -> None:
        session = await shop.open()
        shop.waha.logout(session)
        status, refused = await shop.call("GET", LABELS)
        assert (status, refused["expected"]) == (422, ["WORKING"])


class TestTelling:
    @pytest.mark.parametrize(
        ("engine", "label"),
        [("GOWS", None), ("NOWEB", {"id": "1", "name": "A", "color": 0, "colorHex": "#ff9485"})],
    )
    async def test_each_change_is_told_as_the_engine_does(
        self, shop: Any, engine: Any, label: Any
    ) -> None:
        await shop.open(engine, events=EVENTS)
        labels = shop.waha.labels
        made, _ = labels.name("loja", "A")
        labels.put_on("loja", PERSON, "1")
        labels.put_on("loja", PERSON, "1")
        labels.take_off("loja", "77@lid", "1")
        labels.take_off("loja", PERSON, "1")
        labels.delete("loja", "1")
        await shop.waha.settled()
        on_chat = {"labelId": "1", "chatId": f"{PERSON}@c.us", "label": label}
        assert told(shop) == [
            ("label.upsert", made),
            ("label.deleted", made),
            ("label.chat.added", on_chat),
            ("label.chat.deleted", on_chat),
        ]

    async def test_webjs_tells_nothing(self, shop: Any) -> None:
        await shop.open("WEBJS", events=EVENTS)
        _, deliveries = shop.waha.labels.name("loja", "A")
        assert deliveries == shop.waha.labels.put_on("loja", PERSON, "1") == []

    async def test_owner_acts_from_another_process_too(self, shop: Any) -> None:
        await shop.open(events=EVENTS)
        act = "/_control/sessions/loja/labels"
        assert (await shop.call("POST", act, {"name": "A"}))[1]["id"] == "1"
        await shop.call("POST", act, {"chat": PERSON, "label_id": "1"})
        assert shop.waha.labels.book("loja").chats == {f"{PERSON}@c.us": ["1"]}
        await shop.call("POST", act, {"chat": PERSON, "label_id": "1", "on": False})
        assert (await shop.call("POST", act, {"delete": "1"}))[1]["told"] == 1
        assert (await shop.call("POST", act, {"delete": "1"}))[0] == 400
        assert (await shop.call("POST", act, {}))[0] == 400
