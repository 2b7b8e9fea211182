from typing import Any

import pytest
from crm_fakes.waha import Engine

PERSON = "5511988880001"
HISTORY = f"/api/loja/chats/{PERSON}%40c.us/messages"
STORE = {"noweb": {"store": {"enabled": True}}}


class TestNewMessageId:
    @pytest.mark.parametrize(("engine", "status"), [("GOWS", 200), ("NOWEB", 200), ("WEBJS", 422)])
    async def test_exists_where_the_engine_has_it(
        self, shop: Any, engine: Any, status: int
    ) -> None:
        await shop.open(engine)
        got, body = await shop.call("GET", "/api/loja/new-message-id")
        assert got == status
        if status == 200:
            await shop.send_text(id=body["id"])
            assert list(shop.waha.sent) == [body["id"]]
        else:
            assert body["message"] == "The method is not implemented by the engine."


class TestHistory:
    async def test_pages_newest_first_and_filters(self, shop: Any) -> None:
        await shop.open()
        for second in range(5):
            await shop.waha.receive_text("loja", PERSON, f"n{second}", timestamp=1000 + second)
        await shop.waha.receive_text("loja", "5521900000000", "outra conversa")
        _, page = await shop.call("GET", f"{HISTORY}?limit=2&offset=1&downloadMedia=false")
        assert [m["body"] for m in page] == ["n3", "n2"]
        _, page = await shop.call(
            "GET", f"{HISTORY}?limit=100&filter.timestamp.gte=1003&sortOrder=asc"
        )
        assert [m["body"] for m in page] == ["n3", "n4"]
        assert (await shop.call("GET", f"{HISTORY}?filter.fromMe=true"))[1] == []
        assert (await shop.call("GET", f"{HISTORY}?limit=many"))[0] == 400
        _, page = await shop.call("GET", "/api/loja/chats/all/messages?limit=100")
        assert len(page) == 6

    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    async def test_shows_chats_until_the_logout(self, shop: Any, engine: Any) -> None:
        session = await shop.open(engine)
        session.config |= STORE
        for second, phone in enumerate((PERSON, "5521900000000", PERSON)):
            await shop.waha.receive_text("loja", phone, f"n{second}", timestamp=1000 + second)
        path = "/api/loja/chats/overview"
        _, chats = await shop.call("GET", path)
        assert [chat["id"] for chat in chats] == [f"{PERSON}@c.us", "5521900000000@c.us"]
        assert chats[0]["lastMessage"]["body"] == "n2"
        _, page = await shop.call("GET", f"{path}?limit=1&offset=1")
        assert page == chats[1:]
        assert (await shop.call("GET", f"{path}?offset=x"))[0] == 400
        shop.waha.logout(session)
        status, refused = await shop.call("GET", path)
        assert (status, refused["expected"]) == (422, ["WORKING"])
        shop.waha.scan("loja")
        assert (await shop.call("GET", path))[1] == []
        assert (await shop.call("GET", HISTORY))[1] == []

    async def test_finds_a_message_by_full_and_bare_id(self, shop: Any) -> None:
        await shop.open()
        await shop.send_text(id="3EB0ABC")
        for path in (f"{HISTORY}/3EB0ABC", "/api/loja/chats/all/messages/3EB0ABC"):
            status, found = await shop.call("GET", path)
            assert (status, found["body"]) == (200, "Olá")
        status, body = await shop.call("GET", f"{HISTORY}/nothing")
        assert (status, body["message"]) == (404, "Message not found")

    async def test_noweb_without_its_store_shows_nothing(self, shop: Any) -> None:
        session = await shop.open("NOWEB")
        await shop.send_text(id="3EB0ABC")
        assert (await shop.call("GET", HISTORY))[1] == []
        session.config |= STORE
        assert len((await shop.call("GET", HISTORY))[1]) == 1


class TestHiddenIds:
    async def test_resolves_both_ways(self, shop: Any) -> None:
        await shop.open("WEBJS")
        await shop.waha.receive_text("loja", PERSON, "oi", lid="777")
        known = {"lid": "777@lid", "pn": f"{PERSON}@c.us"}
        assert (await shop.call("GET", "/api/loja/lids/777%40lid"))[1] == known
        assert (await shop.call("GET", "/api/loja/lids/777"))[1] == known
        assert (await shop.call("GET", f"/api/loja/lids/pn/{PERSON}"))[1] == known
        assert (await shop.call("GET", "/api/loja/lids/888"))[1] == {"lid": "888@lid", "pn": None}


class TestContacts:
    async def test_check_exists_may_name_another_chat_id(self, shop: Any) -> None:
        await shop.open()
        shop.waha.numbers = {"5519988887777": "551988887777", "5500": None}
        path = "/api/contacts/check-exists?session=loja&phone="
        assert (await shop.call("GET", path + "5519988887777"))[1] == {
            "numberExists": True,
            "chatId": "551988887777@c.us",
        }
        assert (await shop.call("GET", path + "5500"))[1] == {"numberExists": False}
        assert (await shop.call("GET", path + PERSON))[1]["chatId"] == f"{PERSON}@c.us"

    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    async def test_what_is_sent_to_another_spelling_never_arrives(
        self, shop: Any, engine: Engine
    ) -> None:
        await shop.open(engine)
        shop.waha.numbers = {"5519988887777": "551988887777"}
        for chat in ("5519988887777@c.us", "551988887777@c.us"):
            assert (await shop.send_text(chatId=chat))[0] == 201
        await shop.receiver.wait_for(
            lambda r: r.type == "message.ack" and r.json["payload"]["ack"] == 2
        )
        await shop.waha.settled()
        assert [(m.chat, m.ack) for m in shop.waha.sent.values()] == [
            ("5519988887777@c.us", 1),
            ("551988887777@c.us", 2),
        ]

    async def test_nobody_is_looked_up_while_the_session_does_not_work(self, shop: Any) -> None:
        session = await shop.open()
        shop.waha.stop_session(session)
        path = f"/api/contacts/check-exists?session=loja&phone={PERSON}"
        status, body = await shop.call("GET", path)
        assert (status, body["expected"]) == (422, ["WORKING"])

    @pytest.mark.parametrize(
        ("engine", "named"),
        [("GOWS", ["Name"]), ("NOWEB", ["subject"]), ("WEBJS", ["groupMetadata", "subject"])],
    )
    async def test_groups_we_are_in_have_a_subject_while_the_session_works(
        self, shop: Any, engine: Engine, named: list[str]
    ) -> None:
        session = await shop.open(engine)
        path = "/api/loja/groups/1203%40g.us"
        assert (await shop.call("GET", path))[0] == 404
        shop.waha.groups["1203@g.us"] = "Turma"
        _, found = await shop.call("GET", path)
        for key in named:
            found = found[key]
        assert found == "Turma"
        shop.waha.faults.add("group_error", times=1)
        assert (await shop.call("GET", path))[0] == 500
        shop.waha.stop_session(session)
        assert (await shop.call("GET", path))[0] == 422
        assert list(shop.waha.group_looks) == [("loja", "1203@g.us")] * 4

    async def test_profile_picture_is_null_unless_shown_and_kept_for_a_day(self, shop: Any) -> None:
        await shop.open()
        path = f"/api/contacts/profile-picture?session=loja&contactId={PERSON}%40c.us"
        assert (await shop.call("GET", path))[1] == {"profilePictureURL": None}
        url = "https://example.com/maria.jpg"
        shop.waha.pictures[f"{PERSON}@c.us"] = url
        assert (await shop.call("GET", path))[1] == {"profilePictureURL": None}
        assert (await shop.call("GET", path + "&refresh=true"))[1] == {"profilePictureURL": url}
        assert [chat for _, chat, _ in shop.waha.picture_looks] == [f"{PERSON}@c.us"] * 3

    async def test_profile_picture_is_there_for_everybody_until_another_is_shown(
        self, shop: Any
    ) -> None:
        await shop.open()
        path = f"/api/contacts/profile-picture?session=loja&contactId={PERSON}%40c.us"
        shop.waha.show_picture(PERSON, b"one")
        first = (await shop.call("GET", path))[1]["profilePictureURL"]
        async with shop.http.get(first, headers={"X-Api-Key": "wrong"}) as response:
            assert (response.status, await response.read()) == (200, b"one")
        shop.waha.show_picture(PERSON, b"two")
        async with shop.http.get(first) as response:
            assert response.status == 403
        assert (await shop.call("GET", path))[1]["profilePictureURL"] != first
        shop.waha.show_picture(PERSON, None)
        assert (await shop.call("GET", path))[1] == {"profilePictureURL": None}

    async def test_profile_picture_fails_as_a_fault_or_the_session_has_it(self, shop: Any) -> None:
        await shop.open()
        path = f"/api/contacts/profile-picture?session=loja&contactId={PERSON}%40c.us"
        shop.waha.faults.add("picture_error", times=1)
        assert (await shop.call("GET", path))[0] == 500
        assert (await shop.call("GET", path))[0] == 200
        await shop.call("POST", "/api/sessions/loja/stop")
        assert (await shop.call("GET", path))[0] == 422


class TestFiles:
    async def test_expire_and_come_back_by_the_history(self, shop: Any) -> None:
        await shop.open()
        message = await shop.waha.receive_image("loja", PERSON, content=b"pixels")
        url = message.media.url
        async with shop.http.get(url) as response:
            assert await response.read() == b"pixels"
        async with shop.http.get(url, headers={"X-Api-Key": "wrong"}) as response:
            assert response.status == 401
        shop.waha.timing.files_lifetime = 0
        shop.waha.serve_file(shop.waha.session("loja"), message)
        async with shop.http.get(url) as response:
            assert response.status == 404
            assert (await response.json())["message"].startswith("File not found: ")
        shop.waha.timing.files_lifetime = 180
        path = f"{HISTORY}/{message.bare_id}?downloadMedia="
        await shop.call("GET", path + "false")
        async with shop.http.get(url) as response:
            assert response.status == 404
        await shop.call("GET", path + "true")
        async with shop.http.get(url) as response:
            assert response.status == 200
