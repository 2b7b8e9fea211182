"""The longest values the contract lets through are stored and told; nothing is lost to a width."""

from datetime import UTC, datetime

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import (
    on_message_failed,
    on_message_sent,
    on_status_reported,
)
from crm_messaging.messages.models import Message as MessageRow
from crm_messaging.messages.scheduled.models import ScheduledMessage
from crm_messaging.messages.service import send
from crm_messaging.replicas import consumers
from crm_messaging.replicas.models import AgentRef, ChannelRef, ContactRef
from crm_messaging.sessions.models import Session as SessionRow
from crm_testing.limits import assert_columns_hold, largest
from crm_testing.scenes.messaging import Scene
from crm_testing.services import read_back
from pydantic import BaseModel
from shared_events.channels.channel import ChannelCreated
from shared_events.channels.traffic import (
    ChannelMessageFailed,
    ChannelMessageReceived,
    ChannelMessageSent,
    ChannelMessageStatusReported,
    TrafficChannel,
)
from shared_events.contacts.contact import ContactCreated, ContactIdentityLinked
from shared_events.gateway.agent import Agent, AgentCreated
from shared_events.messaging.message import Message, SendMessage
from shared_events.messaging.session import Session
from shared_events.messaging.summaries import ContactSummary
from sqlalchemy import Table
from sqlmodel import SQLModel


def table_of(model: type[SQLModel]) -> Table:
    return model.metadata.tables[f"messaging.{model.__tablename__}"]


class TestColumns:
    @pytest.mark.parametrize(
        ("contract", "table"),
        [
            (Message, table_of(MessageRow)),
            (Message, table_of(ScheduledMessage)),
            (Session, table_of(SessionRow)),
            (ChannelMessageReceived, table_of(MessageRow)),
            (ContactSummary, table_of(ContactRef)),
            (TrafficChannel, table_of(ChannelRef)),
            (Agent, table_of(AgentRef)),
        ],
        ids=lambda value: getattr(value, "__name__", str(value)),
    )
    def test_are_as_wide_as_the_contract(self, contract: type[BaseModel], table: Table) -> None:
        assert_columns_hold(contract, table)


class TestLongestValues:
    async def test_of_a_message_and_its_receipts_go_through(self, scene: Scene) -> None:
        received = largest(ChannelMessageReceived, direction="inbound", is_group=False)
        await scene.apply(on_message_received, received)
        report = largest(
            ChannelMessageStatusReported,
            channel_id=received.channel.id,
            external_id=received.external_id,
        )
        await scene.apply(on_status_reported, report)
        (message,) = await scene.messages()
        assert message["media_mime_type"] == received.media.mime_type if received.media else None
        assert message["content"] == received.content
        assert [read_back(row).event_type for row in await scene.outbox()] == [
            "session.started",
            "message.received",
        ]

    async def test_of_receipts_that_come_early_wait_for_their_message(self, scene: Scene) -> None:
        report = largest(ChannelMessageStatusReported)
        await scene.apply(on_status_reported, report)
        (parked,) = await scene.rows("SELECT * FROM parked_receipts")
        assert parked["external_id"] == report.external_id

    async def test_of_a_failure_are_told(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        (received,) = await scene.messages()
        async with scene.database.tenant(scene.tenant_id) as tx:
            request = SendMessage(
                contact_id=received["contact_id"], channel_id=scene.channel.id, content="Oi!"
            )
            queued = await send(tx, request, None)
        failed = largest(ChannelMessageFailed, message_id=queued.id)
        await scene.apply(on_message_failed, failed)
        told = [read_back(row) for row in await scene.outbox()][-1]
        assert told.event_type == "message.failed"
        assert told.data.message.failure_reason.startswith(failed.code)

    async def test_of_what_was_sent_are_told(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        (received,) = await scene.messages()
        request = largest(
            SendMessage,
            contact_id=received["contact_id"],
            conversation_id=None,
            channel_id=scene.channel.id,
            content_type="text",
            media_url="https://example.com/" + "a" * 2028,
            metadata={},
            reply_to_id=None,
            send_at=None,
            expires_at=None,
            fail_if_offline=False,
            **dict.fromkeys(("location", "contact", "poll", "media_id")),
            mentions=[],
        )
        async with scene.database.tenant(scene.tenant_id) as tx:
            queued = await send(tx, request, None)
        sent = largest(ChannelMessageSent, message_id=queued.id, sent_at=datetime.now(UTC))
        await scene.apply(on_message_sent, sent)
        told = [read_back(row) for row in await scene.outbox()]
        assert [event.event_type for event in told][-2:] == ["message.queued", "message.sent"]

    async def test_of_contacts_channels_and_agents_are_kept(self, scene: Scene) -> None:
        contact = largest(ContactCreated)
        await scene.apply(consumers.on_contact_changed, contact)
        await scene.apply(consumers.on_identity_linked, largest(ContactIdentityLinked))
        await scene.apply(consumers.on_channel_changed, largest(ChannelCreated))
        await scene.apply(consumers.on_agent_changed, largest(AgentCreated))
        (kept,) = await scene.rows("SELECT name, phone FROM contact_refs")
        assert (kept["name"], kept["phone"]) == (contact.contact.name, contact.contact.phone)
