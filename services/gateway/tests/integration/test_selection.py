"""`fields` and `expand`: what is shown of an answer, and by how many requests it is read."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from crm_testing.services import SIGNATURES, answering
from pydantic import BaseModel
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.request_server import RequestServer
from service_kit.service import Service
from shared_events.channels.channel import Channel, GetChannels
from shared_events.contacts.contact import GetContacts
from shared_events.messaging.conversation import (
    ActiveSession,
    Conversation,
    ConversationContact,
    GetConversation,
)
from shared_events.messaging.session import GetSession, GetSessions, ListSessions, Session
from shared_events.requests import Page
from shared_events.services import CHANNELS, MESSAGING, ServiceName

from services.gateway.tests.integration.conftest import Account, Contacts, register
from services.gateway.tests.integration.test_sessions import bearer, colleague

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TIMES = {"created_at": NOW, "updated_at": NOW}


def channel(channel_id: UUID) -> Channel:
    waha = {"base_url": "http://waha", "session": "loja"}
    rest = {"session_timeout_minutes": 30, "session_timeout_seconds": 1800, "allow_groups": True}
    plain = {"name": "Loja", "type": "waha", "status": "connected", "webhook_url": "http://we"}
    return Channel.model_validate(
        {"id": channel_id, "waha": waha, "version": 1, **plain, **rest, **TIMES}
    )


@dataclass
class Inbox:
    """Stands in for messaging and channels-waha, and counts what they are asked."""

    gateway: Service
    account: Account
    sessions: list[Session] = field(default_factory=list)
    conversation: Conversation | None = None
    channel_id: UUID = field(default_factory=uuid4)
    asked: list[BaseModel] = field(default_factory=list)
    up: AsyncExitStack = field(default_factory=AsyncExitStack)

    def open(self, contact_id: object, agent_id: object = None) -> Session:
        """One session more."""
        session = Session.model_validate(
            {
                "id": uuid4(),
                "contact_id": contact_id,
                "channel_id": self.channel_id,
                "project_id": self.account.tenant_id,
                "status": "active",
                "assigned_agent_id": agent_id,
                "started_at": NOW,
                "last_interaction_at": NOW,
                "timeout_seconds": 1800,
                "total_messages": 1,
                "version": 1,
                **TIMES,
            }
        )
        self.sessions.append(session)
        return session

    def _mine(self, tx: Transaction) -> list[Session]:
        return self.sessions if tx.tenant_id == self.account.tenant_id else []

    async def list_sessions(
        self, tx: Transaction, request: ListSessions, call: Call
    ) -> Page[Session]:
        self.asked.append(request)
        found = self._mine(tx)[int(request.cursor or 0) :]
        more = len(found) > request.limit
        return Page(
            data=found[: request.limit],
            has_more=more,
            next_cursor=str(int(request.cursor or 0) + request.limit) if more else None,
        )

    async def get(self, tx: Transaction, request: GetSession, call: Call) -> Session:
        self.asked.append(request)
        for session in self._mine(tx):
            if session.id == request.session_id:
                return session
        raise NotFoundError("session")

    async def get_many(self, tx: Transaction, request: GetSessions, call: Call) -> Page[Session]:
        self.asked.append(request)
        return Page(data=[each for each in self._mine(tx) if each.id in request.ids])

    async def get_conversation(
        self, tx: Transaction, request: GetConversation, call: Call
    ) -> Conversation:
        assert self.conversation is not None
        return self.conversation

    async def channels(self, tx: Transaction, request: GetChannels, call: Call) -> Page[Channel]:
        self.asked.append(request)
        return Page(data=[channel(each) for each in request.ids if each == self.channel_id])

    async def start(self, *names: ServiceName) -> None:
        """Answer as these services, until the test ends."""
        for name in names:
            server = RequestServer(name, self.gateway.database, SIGNATURES)
            if name is MESSAGING:
                server.answer(ListSessions, self.list_sessions)
                server.answer(GetSession, self.get)
                server.answer(GetSessions, self.get_many)
                server.answer(GetConversation, self.get_conversation)
            else:
                server.answer(GetChannels, self.channels)
            await self.up.enter_async_context(answering(server, self.gateway.settings.amqp_url))


@pytest.fixture
async def inbox(gateway: Service, account: Account) -> AsyncIterator[Inbox]:
    inbox = Inbox(gateway, account)
    yield inbox
    await inbox.up.aclose()


async def contact(client: httpx.AsyncClient, account: Account, **more: Any) -> dict[str, Any]:
    body = {"name": "Maria", "phone": "+5511988880001", **more}
    answer = await client.post("/contacts", json=body, headers=account.bearer)
    made: dict[str, Any] = answer.json()
    return made


def pointers(answer: httpx.Response) -> list[tuple[str, str]]:
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    return [(each["pointer"], each["code"]) for each in answer.json()["errors"]]


class TestFields:
    async def test_are_all_that_is_shown_in_the_order_they_have(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        made = await contact(client, account)
        path = f"/contacts/{made['id']}"
        answer = await client.get(f"{path}?fields=phone,name", headers=account.bearer)
        assert list(answer.json().items()) == [
            (name, made[name]) for name in ("id", "name", "phone")
        ]
        page = await client.get("/contacts?fields=name", headers=account.bearer)
        expected = {"data": [{"id": made["id"], "name": "Maria"}], "has_more": False}
        assert page.json() == {**expected, "next_cursor": None}

    async def test_of_what_has_no_id_are_those_alone(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        answer = await client.get("/auth/me?fields=roles", headers=account.bearer)
        assert answer.json() == {"roles": ["admin"]}

    @pytest.mark.parametrize("path", ["/contacts", "/contacts/{id}"])
    async def test_that_are_not_there_are_named(
        self, client: httpx.AsyncClient, account: Account, path: str
    ) -> None:
        path = path.format(id=(await contact(client, account))["id"])
        query = "fields=id,nme,name,__class__"
        answer = await client.get(f"{path}?{query}", headers=account.bearer)
        assert pointers(answer) == [("/fields", "extra_forbidden")] * 2
        said = [each["message"] for each in answer.json()["errors"]]
        assert "'nme'" in said[0] and "'__class__'" in said[1]
        for empty in ("fields=", "fields=name,"):
            answer = await client.get(f"{path}?{empty}", headers=account.bearer)
            assert pointers(answer) == [("/fields", "extra_forbidden")]
        answer = await client.get(f"{path}?fields=id&fields=name", headers=account.bearer)
        assert (answer.status_code, answer.json()["code"]) == (400, "repeated_parameter")

    async def test_have_a_tag_of_their_own(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        made = await contact(client, account)
        path, who = f"/contacts/{made['id']}", account.bearer
        whole = await client.get(path, headers=who)
        some = await client.get(f"{path}?fields=name", headers=who)
        assert whole.headers["etag"] != some.headers["etag"]
        for tag, status in ((some.headers["etag"], 304), (whole.headers["etag"], 200)):
            answer = await client.get(f"{path}?fields=name", headers={**who, "If-None-Match": tag})
            assert answer.status_code == status
        # Something that is not shown changes: what is shown is still what it was.
        key = (account.tenant_id, UUID(made["id"]))
        contacts.rows[key] = contacts.rows[key].model_copy(update={"last_interaction_at": NOW})
        known = {**who, "If-None-Match": some.headers["etag"]}
        assert (await client.get(f"{path}?fields=name", headers=known)).status_code == 304
        changed = await client.patch(
            path, json={"name": "Eva"}, headers={**who, "If-Match": some.headers["etag"]}
        )
        assert changed.status_code == 200

    async def test_go_on_with_the_next_page(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        for number in range(3):
            await contact(client, account, name=f"{number}", phone=f"+551198888000{number}")
        query = "limit=2&fields=name&search=a+%26+b"
        first = await client.get(f"/contacts?{query}", headers=account.bearer)
        link = first.url.join(first.links["next"]["url"])
        assert link.params["fields"] == "name" and link.params["search"] == "a & b"
        second = await client.get(link, headers=account.bearer)
        assert [set(each) for each in second.json()["data"]] == [{"id", "name"}]
        assert getattr(contacts.calls[-1][0], "search", None) == "a & b"

    async def test_of_a_head_are_those_of_its_get(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        path = f"/contacts/{(await contact(client, account))['id']}?fields=name"
        get, head = [await client.request(m, path, headers=account.bearer) for m in ("GET", "HEAD")]
        assert head.headers["etag"] == get.headers["etag"] and head.content == b""

    async def test_are_for_reading(self, client: httpx.AsyncClient, account: Account) -> None:
        answer = await client.post("/contacts?fields=id", json={}, headers=account.bearer)
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")


class TestExpand:
    async def test_asks_once_for_each_relation_of_however_long_a_list(
        self, client: httpx.AsyncClient, account: Account, inbox: Inbox, contacts: Contacts
    ) -> None:
        await inbox.start(MESSAGING, CHANNELS)
        people = [
            await contact(client, account, phone=f"+55119888800{n:02}", name=f"{n}")
            for n in range(20)
        ]
        for n in range(40):
            inbox.open(people[n % 20]["id"], account.user_id if n % 2 else None)
        before = len(contacts.calls)
        query = "expand=contact,channel,agent&limit=40"
        page = (await client.get(f"/sessions?{query}", headers=account.bearer)).json()["data"]
        assert len(page) == 40
        for n, session in enumerate(page):
            assert session["contact"] == people[n % 20]
            assert session["channel"]["id"] == str(inbox.channel_id)
            agent = session["agent"]
            assert (agent and agent["id"]) == (account.user_id if n % 2 else None)
        (asked,) = [request for request, _ in contacts.calls[before:]]
        assert isinstance(asked, GetContacts) and len(asked.ids) == 20
        assert [type(each) for each in inbox.asked] == [ListSessions, GetChannels]

    async def test_of_one_is_as_of_a_list(
        self, client: httpx.AsyncClient, account: Account, inbox: Inbox
    ) -> None:
        await inbox.start(MESSAGING)
        person = await contact(client, account)
        path = f"/sessions/{inbox.open(person['id']).id}"
        plain = await client.get(path, headers=account.bearer)
        whole = await client.get(f"{path}?expand=contact", headers=account.bearer)
        assert whole.json() == {**plain.json(), "contact": person}
        assert whole.headers["etag"] != plain.headers["etag"]
        some = f"{path}?expand=contact&fields=status"
        answer = await client.get(some, headers=account.bearer)
        expected = {"id": plain.json()["id"], "status": "active", "contact": person}
        assert answer.json() == expected
        known = {**account.bearer, "If-None-Match": answer.headers["etag"]}
        assert (await client.get(some, headers=known)).status_code == 304
        edit = {"name": "Eva"}
        await client.patch(f"/contacts/{person['id']}", json=edit, headers=account.bearer)
        assert (await client.get(some, headers=known)).json()["contact"]["name"] == "Eva"

    async def test_what_is_not_there_or_anothers_is_null(
        self, client: httpx.AsyncClient, account: Account, inbox: Inbox
    ) -> None:
        await inbox.start(MESSAGING)
        others = await register(client)
        theirs = await contact(client, others)
        inbox.open(theirs["id"], others.user_id)
        inbox.open(uuid4(), uuid4())
        answer = await client.get("/sessions?expand=contact,agent", headers=account.bearer)
        for session in answer.json()["data"]:
            assert (session["contact"], session["agent"]) == (None, None)

    async def test_what_may_not_be_read_is_null_and_not_asked_for(
        self, client: httpx.AsyncClient, account: Account, inbox: Inbox
    ) -> None:
        await inbox.start(MESSAGING)  # channels-waha is away, and nobody asks it
        person = await contact(client, account)
        inbox.open(person["id"], account.user_id)
        agent = await colleague(client, account, "agent")
        answer = await client.get("/sessions?expand=contact,agent,channel", headers=bearer(agent))
        (session,) = answer.json()["data"]
        assert (session["agent"], session["channel"]) == (None, None)
        assert session["contact"] == person

    async def test_whom_a_key_may_not_read_it_does_not_see(
        self, client: httpx.AsyncClient, account: Account, inbox: Inbox
    ) -> None:
        await inbox.start(MESSAGING)
        inbox.open((await contact(client, account))["id"])
        body = {"name": "Relatórios", "scopes": ["sessions.read"]}
        made = await client.post("/api-keys", json=body, headers=account.bearer)
        who = {"X-Api-Key": made.json()["key"]}
        answer = await client.get("/sessions?expand=contact", headers=who)
        assert answer.json()["data"][0]["contact"] is None

    async def test_a_conversation_keeps_what_it_shows_itself(
        self, client: httpx.AsyncClient, account: Account, inbox: Inbox
    ) -> None:
        await inbox.start(MESSAGING)
        person = await contact(client, account)
        session = inbox.open(person["id"], account.user_id)
        inbox.conversation = Conversation(
            id=uuid4(),
            channel_id=inbox.channel_id,
            contact=ConversationContact(id=person["id"], name="Maria"),
            is_group=False,
            last_message_at=NOW,
            unread_count=0,
            read_seq=0,
            active_session=ActiveSession(id=session.id, assigned_agent_id=account.user_id),
            seq=1,
            created_at=NOW,
            updated_at=NOW,
        )
        path = f"/conversations/{inbox.conversation.id}?expand=contact,session,agent"
        shown = (await client.get(path, headers=account.bearer)).json()
        assert shown["contact"] == person
        assert shown["session"] == session.model_dump(mode="json")
        assert shown["agent"]["id"] == account.user_id
        await client.delete(f"/contacts/{person['id']}", headers=account.bearer)
        summary = inbox.conversation.model_dump(mode="json")["contact"]
        shown = (await client.get(path, headers=account.bearer)).json()
        assert shown["contact"] == summary

    async def test_of_nothing_asks_nothing(
        self, client: httpx.AsyncClient, account: Account, inbox: Inbox
    ) -> None:
        await inbox.start(MESSAGING)
        path = "/sessions?expand=contact,channel"
        answer = await client.get(path, headers=account.bearer)
        assert (answer.status_code, answer.json()["data"]) == (200, [])
        missing = await client.get(f"/sessions/{uuid4()}?expand=channel", headers=account.bearer)
        assert missing.status_code == 404

    async def test_of_a_service_that_is_away_is_its_503(
        self, client: httpx.AsyncClient, account: Account, inbox: Inbox
    ) -> None:
        await inbox.start(MESSAGING)
        inbox.open(uuid4())
        answer = await client.get("/sessions?expand=contact,channel", headers=account.bearer)
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert "retry-after" in answer.headers
        assert (await client.get("/sessions", headers=account.bearer)).status_code == 200

    async def test_is_for_few_relations_and_known_ones(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        async def refused(path: str) -> httpx.Response:
            return await client.get(path, headers=account.bearer)

        many = await refused("/conversations?expand=contact,session,agent,channel")
        assert pointers(many) == [("/expand", "too_long")]
        unknown = await refused("/sessions?expand=contact,session,pet&fields=nme")
        assert (
            pointers(unknown)
            == [("/fields", "extra_forbidden")] + [("/expand", "extra_forbidden")] * 2
        )
        nothing = await refused("/contacts?expand=agent")
        assert (nothing.status_code, nothing.json()["code"]) == (400, "unknown_parameter")
