"""Calls: each step is told once, in order, with the contact and where they write."""

from datetime import UTC, datetime, timedelta
from typing import Any

from crm_messaging.calls.consumers import on_call_reported
from crm_messaging.messages.arrival import on_message_received
from crm_testing.limits import largest
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import read_back
from service_kit.database import Database
from shared_events.channels.traffic import ChannelCallReported, Person
from shared_events.contacts.contact import Identity
from shared_events.identity import WhatsAppId, contact_id
from shared_events.messaging.call import CallEvent

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STEPS = ("received", "accepted", "rejected")
WHO = Person(identities=[Identity(kind="phone", value=PHONE)], push_name="Ana")


def call(
    scene: Scene, status: str = "received", seconds: int = 0, **changes: Any
) -> ChannelCallReported:
    values = {
        "channel": scene.channel,
        "chat_id": f"{PHONE}@c.us",
        "call_id": "C1",
        "status": status,
        "person": WHO,
        "happened_at": AT + timedelta(seconds=seconds),
    }
    return ChannelCallReported.model_validate({**values, **changes})


async def told(scene: Scene) -> list[CallEvent]:
    """What was told of calls, in order."""
    events = [read_back(row).data for row in await scene.outbox()]
    return [event for event in events if isinstance(event, CallEvent)]


class TestCalls:
    async def test_each_step_is_told_once_and_all_of_a_call_as_one_aggregate(
        self, scene: Scene
    ) -> None:
        steps = [
            call(scene, step, n) for n, step in enumerate(("received", "accepted", "rejected"))
        ]
        await scene.apply(on_call_reported, steps[0], steps[0], steps[1])
        await scene.apply(on_call_reported, *steps, call(scene, "received", 9, call_id="C2"), seq=9)
        events = await told(scene)
        assert [(e.event_type, e.call.external_id) for e in events] == [
            ("call.received", "C1"),
            ("call.accepted", "C1"),
            ("call.rejected", "C1"),
            ("call.received", "C2"),
        ]
        last = events[2]
        assert (last.call.received_at, last.call.rejected_at) == (AT, AT + timedelta(seconds=2))
        assert (last.contact.name, last.channel.name) == ("Ana", "Loja")
        rows = [r for r in await scene.outbox() if r["event_type"].startswith("call.")]
        assert len({r["aggregate_id"] for r in rows}) == 2

    async def test_what_comes_late_is_noted_and_not_told(self, scene: Scene) -> None:
        await scene.apply(on_call_reported, call(scene, "rejected", 5))
        await scene.apply(on_call_reported, call(scene, "received"), call(scene, "accepted", 1))
        (ended,) = await told(scene)
        assert (ended.event_type, ended.call.received_at) == ("call.rejected", None)
        (row,) = await scene.rows("SELECT * FROM calls")
        assert (row["status"], row["received_at"]) == ("rejected", AT)

    async def test_stranger_becomes_a_contact_without_conversation_or_session(
        self, scene: Scene
    ) -> None:
        await scene.apply(on_call_reported, call(scene))
        (event,) = await told(scene)
        assert event.contact.id == contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))
        assert event.call.conversation_id is None
        for table in ("conversations", "sessions", "messages"):
            assert await scene.rows(f"SELECT 1 FROM {table}") == []  # noqa: S608 - our own
        await scene.apply(on_message_received, scene.received())
        (message,) = await scene.messages()
        assert message["contact_id"] == event.contact.id

    async def test_who_wrote_before_calls_in_their_conversation(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(lid="77"))
        hidden = Person(identities=[Identity(kind="lid", value="77")])
        await scene.apply(on_call_reported, call(scene, chat_id="77@lid", person=hidden))
        (event,) = await told(scene)
        (thread,) = await scene.rows("SELECT * FROM conversations")
        assert event.call.conversation_id == thread["id"]
        assert (thread["seq"], thread["unread_count"]) == (1, 1)

    async def test_longest_values_go_through(self, scene: Scene) -> None:
        said = largest(ChannelCallReported, channel=scene.channel, person=WHO)
        await scene.apply(on_call_reported, said)
        (event,) = await told(scene)
        assert event.call.external_id == said.call_id

    async def test_another_companys_call_is_another(self, database: Database) -> None:
        pair = Scene(database), Scene(database)
        batch = [e for company in pair for e in company.events([call(company)])]
        foreign = pair[0].events([call(pair[1], "rejected")], 2)
        async with database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await on_call_reported(tx, batch)
        async with database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await on_call_reported(tx, foreign)
        for company in pair:
            (row,) = await company.rows(
                "SELECT status FROM calls WHERE channel_id = $1", company.channel.id
            )
            assert row["status"] == "received"
