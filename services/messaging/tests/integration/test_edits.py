"""Messages whose text is replaced: on the customer's phone, or on the company's own."""

from datetime import UTC, datetime, timedelta
from typing import Any

from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_message_edited
from crm_messaging.messages.changes.requests import list_versions
from crm_testing.limits import largest
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import read_back
from service_kit.calls import Call
from service_kit.database import Database
from shared_events.channels.traffic import ChannelMessageEdited, ChannelMessageReceived
from shared_events.messaging.message import ListMessageVersions
from shared_events.requests import Principal

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def edit(scene: Scene, content: str, seconds: int = 1, **changes: Any) -> ChannelMessageEdited:
    values = {
        "channel_id": scene.channel.id,
        "external_id": "IN1",
        "edit_id": f"E-{content}",
        "from_us": False,
        "person": {"identities": [{"kind": "phone", "value": PHONE}]},
        "content": content,
        "edited_at": AT + timedelta(seconds=seconds),
    }
    return ChannelMessageEdited.model_validate({**values, **changes})


async def versions(scene: Scene) -> list[str | None]:
    (message,) = await scene.messages()
    call = Call(Principal(tenant_id=scene.tenant_id), "request-1")
    async with scene.database.tenant(scene.tenant_id) as tx:
        request = ListMessageVersions(message_id=message["id"])
        page = await list_versions(tx, request, call)
    return [version.content for version in page.data]


class TestEdited:
    async def test_keeps_what_it_said_and_is_told_once(self, scene: Scene) -> None:
        said = scene.received("Campinas?", external_id="IN1", sent_at=AT)
        await scene.apply(on_message_received, said)
        assert await versions(scene) == []
        newer, older = edit(scene, "Valinhos?", 60), edit(scene, "Vinhedo?", 30)
        await scene.apply(on_message_edited, newer, newer)
        for again in (older, newer, older):
            await scene.apply(on_message_edited, again, seq=3)
        (message,) = await scene.messages()
        assert (message["content"], message["edited_at"]) == ("Valinhos?", newer.edited_at)
        assert (message["sent_at"], message["seq"], message["version"]) == (AT, 1, 3)
        assert await versions(scene) == ["Campinas?", "Vinhedo?", "Valinhos?"]
        assert (await scene.told()) == ["session.started", "message.received", "message.edited"]
        told = read_back((await scene.outbox())[-1]).data
        assert (told.message.content, told.previous_content) == ("Valinhos?", "Campinas?")

    async def test_before_its_message_it_waits_for_it(self, scene: Scene) -> None:
        first, second = edit(scene, "dois", 1), edit(scene, "três", 2)
        await scene.apply(on_message_edited, second, first, second)
        await scene.apply(on_message_edited, second, seq=9)
        assert (await scene.messages(), await scene.told()) == ([], [])
        arrived = scene.received("um", external_id="IN1", sent_at=AT)
        await scene.apply(on_message_received, arrived, scene.received())
        assert {m["content"] for m in await scene.messages()} == {"três", "Olá"}
        assert (await scene.told()).count("message.edited") == 1
        assert await scene.rows("SELECT 1 FROM parked_changes") == []
        await scene.apply(on_message_edited, first, seq=20)
        kept = await scene.rows("SELECT content FROM message_versions ORDER BY since")
        assert [row["content"] for row in kept] == ["um", "dois", "três"]

    async def test_only_its_author_may(self, scene: Scene) -> None:
        group: dict[str, Any] = {"chat_id": "120363000000000000@g.us", "is_group": True}
        await scene.apply(on_message_received, scene.received("um", external_id="IN1", **group))
        stranger = {"identities": [{"kind": "phone", "value": "5511977770002"}]}
        await scene.apply(on_message_edited, edit(scene, "dois", person=stranger))
        await scene.apply(on_message_edited, edit(scene, "três", from_us=True))
        (message,) = await scene.messages()
        assert (message["content"], message["edited_at"]) == ("um", None)
        assert await scene.rows("SELECT 1 FROM contact_refs WHERE phone LIKE '%7770002'") == []
        # A person shown by phone may be shown by hidden id the next time.
        hidden = scene.received(lid="77", external_id="IN2", **group)
        await scene.apply(on_message_received, hidden)
        by_lid = {"identities": [{"kind": "lid", "value": "77"}]}
        await scene.apply(on_message_edited, edit(scene, "quatro", person=by_lid))
        assert {m["content"] for m in await scene.messages()} == {"quatro", "Olá"}

    async def test_longest_values_go_through(self, scene: Scene) -> None:
        received = largest(ChannelMessageReceived, direction="inbound", is_group=False)
        named = {"channel_id": received.channel.id, "external_id": received.external_id}
        change = largest(ChannelMessageEdited, **named, from_us=False, person=received.person)
        await scene.apply(on_message_edited, change)
        longer = received.model_copy(update={"content": "b" + (received.content or "")[1:]})
        await scene.apply(on_message_received, longer)
        (message,) = await scene.messages()
        assert message["content"] == change.content

    async def test_another_companys_message_is_another(self, database: Database) -> None:
        pair = Scene(database), Scene(database)
        for company in pair:
            await company.apply(on_message_received, company.received("um", external_id="IN1"))
        teller, theirs = pair
        batch = [
            *teller.events([edit(theirs, "roubado")]),
            *teller.events([edit(teller, "dois")], 2),
            *theirs.events([edit(theirs, "três")]),
        ]
        async with database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await on_message_edited(tx, batch)
        for company, content in zip(pair, ("dois", "três"), strict=True):
            assert [m["content"] for m in await company.messages()] == [content]
            assert (await company.told())[-1] == "message.edited"
            assert await versions(company) == ["um", content]
