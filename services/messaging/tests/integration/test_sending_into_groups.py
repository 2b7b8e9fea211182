"""Answering into groups: by the conversation, on channels that allow it, never by accident."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.groups.consumers import on_group_reported
from crm_messaging.messages import repository
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.requests import Sending
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit.calls import Call
from service_kit.database import Database
from service_kit.egress import Egress
from service_kit.errors import ConflictError, InvalidError, NotFoundError
from shared_events.channels.group import ChannelGroupReported
from shared_events.identity import conversation_id
from shared_events.messaging.message import Message, SendMessage
from shared_events.requests import Principal

GROUP = f"{'9' * 49}@g.us"
IN_GROUP: dict[str, Any] = {"chat_id": GROUP, "is_group": True}


def id_of(company: Scene) -> UUID:
    return conversation_id(company.channel.id, GROUP)


async def send(company: Scene, *, asker: Principal | None = None, **changes: Any) -> Message:
    values = {"channel_id": company.channel.id, "content": "Oi!", **changes}
    call = Call(asker or Principal(tenant_id=company.tenant_id), "request-1", None)
    sending = Sending(Egress.by_setting(None, is_production=False), plain_http=True)
    async with company.database.tenant(company.tenant_id) as tx:
        return await sending.send_message(tx, SendMessage.model_validate(values), call)


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    """Two companies in one group, in which Ana wrote; she wrote to each alone, too."""
    pair = Scene(database), Scene(database)
    for company in pair:
        subject = {"chat_id": GROUP, "subject": "Turma", "told_at": datetime.now(UTC)}
        report = ChannelGroupReported.model_validate({"channel": company.channel, **subject})
        await company.apply(on_group_reported, report)
        await company.apply(on_message_received, company.received("só nós", external_id="D"))
        said = company.received("no grupo", external_id="G", **IN_GROUP)
        await company.apply(on_message_received, said)
    return pair


class TestSending:
    async def test_goes_to_the_groups_chat_in_its_session(self, pair: tuple[Scene, Scene]) -> None:
        company, other = pair
        direct, theirs = await company.messages()
        mentions = {"content": f"@{PHONE} oi", "mentions": [PHONE], "reply_to_id": theirs["id"]}
        message = await send(company, conversation_id=id_of(company), **mentions)
        assert (message.status, message.seq, message.receipts) == ("queued", 2, None)
        assert message.conversation_id == id_of(company)
        assert message.session_id == theirs["session_id"] != direct["session_id"]
        queued = (await company.outbox())[-1]["payload"]
        assert (queued["to"], queued["reply_to_external_id"]) == (GROUP, "G")
        assert queued["contact"]["name"] == "Turma"
        assert queued["message"]["metadata"]["mentions"] == [f"{PHONE}@c.us"]
        async with company.database.tenant(company.tenant_id) as tx:
            stored = await repository.get(tx, message.id)
            row = await tx.fetchrow("SELECT * FROM conversations WHERE is_group")
        assert stored.receipts  # of members, counted
        assert row
        assert (row["seq"], row["unread_count"], row["contact_id"]) == (2, 0, None)
        assert len(await other.messages()) == 2
        with pytest.raises(NotFoundError):
            await send(other, conversation_id=id_of(company))
        with pytest.raises(InvalidError, match="conversation"):
            await send(company, conversation_id=id_of(company), reply_to_id=direct["id"])

    async def test_by_a_persons_conversation_goes_to_the_person(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        company, _ = pair
        (direct, _) = await company.messages()
        message = await send(company, conversation_id=direct["conversation_id"])
        assert (message.contact_id, message.seq) == (direct["contact_id"], 2)
        assert (await company.outbox())[-1]["payload"]["to"] == f"{PHONE}@c.us"

    async def test_never_gets_into_a_group_by_a_contacts_id(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        company, _ = pair
        _, theirs = await company.messages()
        group = next(s for s in await company.sessions() if s["conversation_id"])
        assert (await send(company, contact_id=theirs["contact_id"])).seq == 2
        assert (await company.outbox())[-1]["payload"]["to"] == f"{PHONE}@c.us"
        with pytest.raises(ConflictError) as refused:
            await send(company, contact_id=group["contact_id"])
        assert refused.value.problem.code == "contact_is_group"

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({}, "one_of_both"),
            ({"contact_id": uuid4(), "conversation_id": uuid4()}, "one_of_both"),
            ({"conversation_id": ..., "channel_id": uuid4()}, "another_channel"),
        ],
    )
    async def test_takes_one_of_both(
        self, pair: tuple[Scene, Scene], given: dict[str, Any], code: str
    ) -> None:
        company, _ = pair
        known: dict[str, Any] = {k: id_of(company) if v is ... else v for k, v in given.items()}
        with pytest.raises(InvalidError) as refused:
            await send(company, **known)
        assert [error.code for error in refused.value.problem.errors] == [code]

    async def test_asks_the_channel_and_who_has_the_group(self, pair: tuple[Scene, Scene]) -> None:
        company, other = pair
        agent = Principal(tenant_id=company.tenant_id, user_id=uuid4(), own_only=True)
        assert await send(company, asker=agent, conversation_id=id_of(company))
        async with company.database.tenant(company.tenant_id) as tx:
            given = "UPDATE conversations SET assigned_agent_id = $1 WHERE is_group"
            await tx.execute(given, uuid4())
            await tx.execute("UPDATE channel_refs SET allow_groups = false")
        with pytest.raises(NotFoundError):
            await send(company, asker=agent, conversation_id=id_of(company))
        with pytest.raises(ConflictError) as refused:
            await send(company, conversation_id=id_of(company))
        assert refused.value.problem.code == "groups_are_off"
        assert await send(other, conversation_id=id_of(other))
