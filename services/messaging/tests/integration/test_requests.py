"""Requests as the gateway sends them: over the bus."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.replicas.consumers import on_channel_changed, on_contact_changed
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import Company
from service_kit import request_server
from service_kit.service import Service
from shared_events import examples
from shared_events.channels.channel import ChannelCreated
from shared_events.contacts.contact import Contact, ContactCreated, ContactIdentity
from shared_events.messaging.message import (
    GetMessage,
    ListContactMessages,
    ListMessages,
    ListSessionMessages,
    SendMessage,
)
from shared_events.messaging.session import (
    AssignSession,
    CloseSession,
    GetSession,
    ListContactSessions,
    ListSessions,
)


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service.database)


def contact(*identities: ContactIdentity) -> Contact:
    example = examples.load("contact.created")["data"]["contact"]
    return Contact.model_validate({**example, "id": uuid4(), "identities": list(identities)})


async def known_channel(scene: Scene) -> UUID:
    created = ChannelCreated.model_validate(examples.load("channel.created")["data"])
    await scene.apply(on_channel_changed, created)
    return created.channel.id


async def known_contact(scene: Scene) -> UUID:
    someone = contact(ContactIdentity(kind="phone", value="5511988880001"))
    await scene.apply(on_contact_changed, ContactCreated(contact=someone))
    return someone.id


class TestSendMessage:
    async def test_queues_opens_a_session_and_tells(self, agent: Company, scene: Scene) -> None:
        contact_id, channel_id = await known_contact(scene), await known_channel(scene)
        sent = await agent.value(
            SendMessage(
                contact_id=contact_id, channel_id=channel_id, content=" Oi! ", metadata={"a": 1}
            ),
            correlation_id="request-7",
        )
        assert (sent["status"], sent["content"], sent["seq"]) == ("queued", "Oi!", 1)
        assert (sent["sent_by"], sent["metadata"]) == (str(agent.user_id), {"a": 1})
        (session,) = await scene.sessions()
        assert session["opened_by"] == "agent"
        _, queued = await scene.outbox()
        assert await scene.told() == ["session.started", "message.queued"]
        assert queued["payload"]["to"] == "5511988880001@c.us"
        assert queued["correlation_id"] == "request-7"

    async def test_joins_the_active_session_where_the_customer_wrote(
        self, agent: Company, scene: Scene
    ) -> None:
        first = scene.received(lid="123456789", chat_id="123456789@lid", external_id="IN1")
        await scene.apply(on_message_received, first)
        (received,) = await scene.messages()
        sent = await agent.value(
            SendMessage(
                contact_id=received["contact_id"],
                channel_id=scene.channel.id,
                content="Oi!",
                reply_to_id=received["id"],
            )
        )
        assert (sent["session_id"], sent["seq"]) == (str(received["session_id"]), 2)
        queued = (await scene.outbox())[-1]["payload"]
        assert (queued["to"], queued["reply_to_external_id"]) == ("123456789@lid", "IN1")

    async def test_never_answers_a_person_in_a_group(self, agent: Company, scene: Scene) -> None:
        group: dict[str, Any] = {"chat_id": "120363000000000001@g.us", "is_group": True}
        await scene.apply(on_message_received, scene.received("no grupo", **group))
        (received,) = await scene.messages()
        await agent.value(
            SendMessage(
                contact_id=received["contact_id"],
                channel_id=scene.channel.id,
                content="só para você",
            )
        )
        assert (await scene.outbox())[-1]["payload"]["to"] == f"{PHONE}@c.us"

    async def test_a_poll_is_shown_and_told_as_one_that_came_in(
        self, agent: Company, scene: Scene
    ) -> None:
        poll = {"question": "Cor?", "options": ["Azul", "Verde"]}
        sent = await agent.value(
            SendMessage.model_validate(
                {
                    "contact_id": await known_contact(scene),
                    "channel_id": await known_channel(scene),
                    "content_type": "poll",
                    "poll": poll,
                    "metadata": {"a": 1},
                }
            )
        )
        shown = ("poll", "Cor?", {"a": 1, "poll": poll})
        assert (sent["content_type"], sent["content"], sent["metadata"]) == shown
        told = (await scene.outbox())[-1]["payload"]["message"]
        assert (told["content_type"], told["content"], told["metadata"]) == shown
        (stored,) = await scene.messages()
        assert stored["metadata"] == sent["metadata"]

    async def test_same_idempotency_key_sends_once(self, agent: Company, scene: Scene) -> None:
        request = SendMessage(
            contact_id=await known_contact(scene),
            channel_id=await known_channel(scene),
            content="x",
        )
        first = await agent.value(request, idempotency_key="k1")
        assert await agent.value(request, idempotency_key="k1") == first
        assert len(await scene.messages()) == 1

    async def test_waits_a_moment_for_a_contact_just_created(
        self, agent: Company, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_server, "PATIENCE_SECONDS", 60.0)
        someone = contact(ContactIdentity(kind="phone", value="5511988880001"))
        request = SendMessage(
            contact_id=someone.id, channel_id=await known_channel(scene), content="Oi!"
        )
        asking = asyncio.create_task(agent.value(request))
        await asyncio.sleep(0.1)
        assert not asking.done()
        await scene.apply(on_contact_changed, ContactCreated(contact=someone))
        assert (await asking)["status"] == "queued"

    async def test_refuses_what_cannot_be_sent(self, agent: Company, scene: Scene) -> None:
        contact_id, channel_id = await known_contact(scene), await known_channel(scene)
        nobody = contact()
        await scene.apply(on_contact_changed, ContactCreated(contact=nobody))

        async def refusal(**changes: Any) -> tuple[str, str]:
            values = {"contact_id": contact_id, "channel_id": channel_id, "content": "Oi!"}
            return await agent.refusal(SendMessage.model_validate({**values, **changes}))

        assert await refusal(content="  ") == ("invalid", "blank")
        assert await refusal(content_type="image") == ("invalid", "missing")
        assert await refusal(metadata={"n": 10**30}) == ("invalid", "not_json")
        assert await refusal(metadata={"receipts": "x"}) == ("invalid", "reserved_key")
        photo = {"content_type": "image", "media_url": "https://example.com/a.jpg"}
        assert await refusal(**photo, content="a" * 1025) == ("invalid", "too_long")
        for url in (
            "http://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/a.jpg",
            "https://rabbitmq.internal/a.jpg",
            "https://user:password@example.com/a.jpg",
        ):
            assert await refusal(**{**photo, "media_url": url}) == ("invalid", "url_not_allowed")
        assert await refusal(reply_to_id=uuid4()) == ("invalid", "unknown_message")
        assert await refusal(contact_id=uuid4()) == ("not_found", "contact_not_found")
        assert await refusal(channel_id=uuid4()) == ("not_found", "channel_not_found")
        assert await refusal(contact_id=nobody.id) == ("conflict", "contact_unreachable")
        assert await scene.messages() == []

    async def test_concurrent_sends_share_a_session_without_gaps(
        self, agent: Company, scene: Scene
    ) -> None:
        request = SendMessage(
            contact_id=await known_contact(scene),
            channel_id=await known_channel(scene),
            content="x",
        )
        sent = await asyncio.gather(*(agent.value(request) for _ in range(20)))
        assert sorted(message["seq"] for message in sent) == list(range(1, 21))
        assert len(await scene.sessions()) == 1


class TestListMessages:
    async def test_pages_in_conversation_order(self, agent: Company, scene: Scene) -> None:
        await scene.apply(on_message_received, *(scene.received(f"n{n}") for n in range(7)))
        seen: list[str] = []
        cursor = None
        while True:
            page = await agent.value(ListMessages(limit=3, cursor=cursor))
            seen += [message["content"] for message in page["data"]]
            if not page["has_more"]:
                break
            cursor = page["next_cursor"]
        assert seen == [f"n{n}" for n in range(7)]
        page = await agent.value(ListMessages(limit=2, offset=5))
        assert [message["content"] for message in page["data"]] == ["n5", "n6"]
        wrong = ListMessages(cursor="nonsense")
        assert await agent.refusal(wrong) == ("malformed", "invalid_cursor")

    async def test_are_in_the_order_they_were_said_not_stored(
        self, agent: Company, scene: Scene
    ) -> None:
        now = datetime.now(UTC)
        late = scene.received("dito antes", sent_at=now - timedelta(minutes=1))
        await scene.apply(on_message_received, scene.received("dito depois", sent_at=now))
        await scene.apply(on_message_received, late)
        page = await agent.value(ListMessages())
        assert [message["content"] for message in page["data"]] == ["dito antes", "dito depois"]

    async def test_filters_and_searches(self, agent: Company, scene: Scene) -> None:
        await scene.apply(
            on_message_received,
            scene.received("desconto de 100%"),
            scene.received("desconto de 1000"),
            scene.received("outra", phone="5511988880002", direction="outbound", origin="phone"),
        )
        found = await agent.value(ListMessages(search="DESCONTO DE 100%"))
        assert [message["content"] for message in found["data"]] == ["desconto de 100%"]
        found = await agent.value(ListMessages(search="100%"))
        assert [message["content"] for message in found["data"]] == ["desconto de 100%"]
        found = await agent.value(ListMessages(direction="outbound", status="sent"))
        assert [message["content"] for message in found["data"]] == ["outra"]

    async def test_lists_of_a_contact_and_a_session(self, agent: Company, scene: Scene) -> None:
        await scene.apply(
            on_message_received, scene.received("a"), scene.received("b", phone="5511988880002")
        )
        first, _ = await scene.messages()
        of_contact = ListContactMessages(contact_id=first["contact_id"])
        of_session = ListSessionMessages(session_id=first["session_id"])
        for request in (of_contact, of_session):
            page = await agent.value(request)
            assert [message["content"] for message in page["data"]] == ["a"]
        for missing in (
            ListContactMessages(contact_id=uuid4()),
            ListSessionMessages(session_id=uuid4()),
            GetMessage(message_id=uuid4()),
            GetSession(session_id=uuid4()),
            ListContactSessions(contact_id=uuid4()),
        ):
            assert (await agent.refusal(missing))[0] == "not_found"

    async def test_another_tenant_sees_nothing(self, agent: Company, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        (message,) = await scene.messages()
        assert (await agent.value(GetMessage(message_id=message["id"])))["seq"] == 1
        agent.id = str(uuid4())
        assert (await agent.value(ListMessages()))["data"] == []
        refused = await agent.refusal(GetMessage(message_id=message["id"]))
        assert refused == ("not_found", "message_not_found")


class TestSessions:
    async def test_lists_newest_first_by_who_has_them(self, agent: Company, scene: Scene) -> None:
        for n in range(3):
            await scene.apply(on_message_received, scene.received(phone=f"551198888000{n}"))
        sessions = await scene.sessions()
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO agent_refs (tenant_id, agent_id, name, active)"
                " VALUES ($1, $2, 'Bia', true)",
                scene.tenant_id,
                agent.user_id,
            )
        mine = AssignSession(session_id=sessions[0]["id"], agent_id=agent.user_id)
        assert (await agent.value(mine, expected_version=1))["version"] == 2

        async def listed(**filters: Any) -> list[UUID]:
            page = await agent.value(ListSessions.model_validate(filters))
            return [UUID(session["id"]) for session in page["data"]]

        ids = [session["id"] for session in sessions]
        assert await listed() == ids[::-1]
        assert await listed(assigned_agent_id="me") == ids[:1]
        assert await listed(assigned_agent_id="none") == ids[:0:-1]
        assert await listed(assigned_agent_id=str(agent.user_id)) == ids[:1]
        assert await listed(status="closed") == []
        page = await agent.value(ListSessions(limit=2))
        page = await agent.value(ListSessions(limit=2, cursor=page["next_cursor"]))
        assert [UUID(session["id"]) for session in page["data"]] == ids[:1]

    async def test_closes_and_answers_the_same_again(self, agent: Company, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        (session,) = await scene.sessions()
        request = CloseSession(session_id=session["id"], note="ok")
        closed = await agent.value(request)
        assert (closed["status"], closed["end_reason"]) == ("closed", "resolved")
        assert await agent.value(request) == closed
        assert await agent.value(GetSession(session_id=session["id"])) == closed
        page = await agent.value(ListContactSessions(contact_id=session["contact_id"]))
        assert len(page["data"]) == 1
