"""The page, without its script: what is shown, and what its forms do."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from bs4 import BeautifulSoup, Tag
from crm_fakes.waha import WahaSession

PERSON = "5511988880001"
OTHER = "5511988880002"
GROUP = "120363000000000001@g.us"


class Phone:
    """Somebody's browser at the page; it has no key."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.page = BeautifulSoup()

    async def look(self, path: str = "/") -> BeautifulSoup:
        async with self.http.get(path) as answer:
            assert answer.status == 200, await answer.text()
            self.page = BeautifulSoup(await answer.text(), "html.parser")
        return self.page

    async def open(self, path: str = "/") -> BeautifulSoup:
        """The newest chat of a page."""
        (newest, *_) = (await self.look(path)).select(".chat")
        return await self.look(str(newest["href"]))

    async def submit(self, act: str, *within: Tag, **fields: Any) -> int:
        """Fill in a form of the page and send it; shows where it leads to."""
        (form, *_) = (*within, self.page)[0].select(f'form[action*="/{act}?"]')
        hidden = {str(i["name"]): str(i["value"]) for i in form.select("input[name][value]")}
        data = aiohttp.FormData()
        for name, value in {**hidden, **fields}.items():
            name_of_file = {"filename": value.name} if hasattr(value, "name") else {}
            data.add_field(name, value, **name_of_file)
        async with self.http.post(str(form["action"]), data=data) as answer:
            if answer.status == 200:
                self.page = BeautifulSoup(await answer.text(), "html.parser")
            return answer.status

    @property
    def said(self) -> list[str]:
        """Each bubble's class and words."""
        bubbles = self.page.select("#chat article")
        for details in self.page.select("#chat details"):
            details.extract()
        return [f"{b['class'][0]}: {b.get_text(' ', strip=True)}" for b in bubbles]


@pytest.fixture
async def phone(shop: Any) -> AsyncIterator[Phone]:
    async with aiohttp.ClientSession(shop.waha.url) as http:
        yield Phone(http)


async def opened(shop: Any, name: str = "loja") -> WahaSession:
    session: WahaSession = await shop.open(
        name=name, events=["message.any", "message.reaction", "message.edited", "session.status"]
    )
    return session


class TestPage:
    async def test_tells_how_to_connect_and_pairs(self, shop: Any, phone: Phone) -> None:
        page = await phone.look()
        assert shop.waha.url in page.text and shop.waha.api_key in page.text
        session = shop.waha.create_session("loja", shop.config())
        assert await session.reach(5, "SCAN_QR_CODE")
        await phone.look()
        assert await phone.submit("scan") == 200
        assert session.status == "WORKING" and "WORKING" in phone.page.text
        shop.waha.enter(session, "FAILED")
        assert "hears of nothing" in (await phone.look()).text

    async def test_a_person_writes_and_sees_the_answer_and_its_ticks(
        self, shop: Any, phone: Phone
    ) -> None:
        await opened(shop)
        await phone.look()
        oi = {"phone": "+55 11 98888-0001", "name": "Maria", "text": " <b>Oi</b> "}
        assert await phone.submit("write", **oi) == 200
        assert phone.said == ["person: <b>Oi</b>"]
        (told,) = await shop.webhooks("message.any")
        payload = told["payload"]
        assert (payload["from"], payload["body"]) == (f"{PERSON}@c.us", "<b>Oi</b>")
        assert payload["_data"]["Info"]["PushName"] == "Maria"
        assert await phone.submit("write", text="Alguém?") == 200  # who writes is remembered
        assert [name.text for name in phone.page.select(".chat strong")] == ["Maria"]

        await shop.send_text("Olá!", id="3EB0")
        assert await phone.submit("read") == 200
        assert phone.said[-1] == "company: Company Olá! ✓✓ read"
        assert [m.ack for m in shop.waha.sent.values()] == [3]

    async def test_changes_its_mind(self, shop: Any, phone: Phone) -> None:
        await opened(shop)
        await phone.look()
        await phone.submit("write", phone=PERSON, text="Abrem hoje?")
        await shop.send_text("Sim", id="3EB0")
        question, answer = (await phone.open()).select("#chat article")
        assert not answer.select('form[action*="/edit?"], form[action*="/revoke?"]')
        await phone.submit("react", answer, emoji="👍")
        assert phone.said[1].endswith("👍")
        (reaction,) = await shop.webhooks("message.reaction")
        assert reaction["payload"]["reaction"]["text"] == "👍"
        await phone.open()
        await phone.submit("react", phone.page.select("#chat article")[1], emoji="")
        assert "👍" not in phone.said[1]
        await phone.submit("edit", question, text="Abrem amanhã?")
        assert phone.said[0] == "person: Abrem amanhã? edited"
        (edited,) = await shop.webhooks("message.edited")
        assert edited["payload"]["body"] == "Abrem amanhã?"
        await phone.submit("revoke", question)
        assert phone.said[0] == "person: deleted"
        assert await phone.submit("edit", question, text="zu spät") == 400
        theirs = {"bare_id": "3EB0", "text": "Não"}  # what the company wrote is the company's
        assert await phone.submit("edit", question, **theirs) == 400

    async def test_sends_files_and_writes_in_groups(
        self, shop: Any, phone: Phone, tmp_path: Any
    ) -> None:
        session = await opened(shop)
        await phone.look()
        group = {"group": GROUP, "phone": PERSON, "name": "Maria"}
        for name, kind in (("a.png", "image"), ("b.ogg", "voice"), ("c.pdf", "document")):
            (tmp_path / name).write_bytes(name.encode())
            with (tmp_path / name).open("rb") as file:
                assert await phone.submit("write", **group, text="veja", file=file) == 200
            message = list(session.messages.values())[-1]
            assert (message.kind, message.chat) == (kind, GROUP)
            assert message.participant == f"{PERSON}@c.us"
        (picture,) = phone.page.select("#chat img")
        async with phone.http.get(str(picture["src"])) as answer:
            assert (await answer.read(), answer.content_type) == (b"a.png", "image/png")
            assert answer.headers["Content-Disposition"] == "attachment"
        await phone.submit("react", phone.page.select("#chat article")[0], emoji="🙏")
        assert next(iter(session.messages.values())).reactions == {f"{PERSON}@c.us": "🙏"}

    async def test_keeps_companies_and_people_apart(self, shop: Any, phone: Phone) -> None:
        await opened(shop)
        await opened(shop, "outra")
        await phone.look("/?session=outra")
        await phone.submit("write", phone=OTHER, name="João", text="Oi, outra")
        ours = await phone.look("/?session=loja")
        assert not ours.select(".chat") and "João" not in ours.text
        await shop.waha.receive_text("loja", PERSON, "oculto", lid="777")
        await phone.open("/?session=loja")
        await phone.submit("write", text="de novo")  # in the chat that hides the phone
        assert phone.said == ["person: oculto", "person: de novo"]
        assert {m.chat for m in shop.waha.session("outra").messages.values()} == {f"{OTHER}@c.us"}

    async def test_refuses_what_nobody_can_send(self, shop: Any, phone: Phone) -> None:
        await opened(shop)
        await phone.look()
        assert await phone.submit("write", phone="12", text="Oi") == 400
        assert await phone.submit("write", phone=PERSON, text=" ") == 400
        async with phone.http.post("/_page/outra/scan") as answer:
            assert answer.status == 404
        async with phone.http.get("/api/sessions") as answer:  # the page alone needs no key
            assert answer.status == 401
