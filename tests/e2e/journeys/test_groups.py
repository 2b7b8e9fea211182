"""A group, as customers' programs see it: one conversation, whoever writes there and whenever."""

from datetime import UTC, datetime, timedelta
from typing import Any

from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Json, Tenant, eventually
from e2e.journeys.test_outbound import status_reached

ANA, BIA = "5511988880001", "5511977770002"
GROUP = "120363000000000001@g.us"


def ago(hours: float) -> int:
    return int((datetime.now(UTC) - timedelta(hours=hours)).timestamp())


async def test_of_members_the_companys_phone_history_and_later(
    tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
) -> None:
    waha.groups[GROUP] = "Turma"
    channel = await tenant.channel(waha, allow_groups=True)
    await tenant.endpoint(receiver, "message.*", "conversation.updated", "contact.created")
    name = channel.waha_session
    session = waha.session(name)
    hooks = session.config.pop("webhooks")  # before anybody listened
    await waha.receive_text(name, ANA, "1", group=GROUP, timestamp=ago(5), push_name="Ana")
    await waha.sent_from_phone(name, GROUP, "2", timestamp=ago(4))
    session.config["webhooks"] = hooks
    await waha.receive_text(name, BIA, "3", group=GROUP, push_name="Bia")
    await tenant.message_count(1)
    await waha.sent_from_phone(name, GROUP, "4")
    await tenant.message_count(2)

    async def named() -> Json | None:
        (found,) = await tenant.rows("/conversations")
        return found if found["subject"] else None

    # What it is called is known although nothing changed in it since we listen.
    conversation = await eventually(named, "subject")
    assert (conversation["subject"], conversation["is_group"]) == ("Turma", True)
    assert (conversation["contact"], conversation["unread_count"]) == (None, 0)
    assert await tenant.rows("/conversations", search="turma") == [conversation]

    await tenant.post(f"/channels/{channel.id}/history-imports")
    await tenant.message_count(4)
    path = f"/conversations/{conversation['id']}"
    said = await tenant.rows(f"{path}/messages", direction="forward")
    assert [(m["seq"], m["content"]) for m in said] == [(-1, "1"), (0, "2"), (1, "3"), (2, "4")]
    ways = [(m["direction"], m["origin"], m["historical"]) for m in said]
    assert ways == [
        ("inbound", "customer", True),
        ("outbound", "phone", True),
        ("inbound", "customer", False),
        ("outbound", "phone", False),
    ]
    # Whoever wrote is a contact; the group, and the company's phone, are none.
    contacts = {contact["name"]: contact["id"] for contact in await tenant.rows("/contacts")}
    assert contacts.keys() == {"Ana", "Bia"}
    assert [said[0]["contact_id"], said[2]["contact_id"]] == [contacts["Ana"], contacts["Bia"]]
    assert len(await tenant.rows("/sessions")) == 1

    to = {"conversation_id": conversation["id"], "channel_id": channel.id}
    soon, later = (datetime.now(UTC) + timedelta(seconds=s) for s in (3, 3600))
    going = await tenant.post("/messages/send", {**to, "content": "5", "send_at": soon.isoformat()})
    waits = await tenant.post(
        "/messages/send", {**to, "content": "nunca", "send_at": later.isoformat()}
    )
    listed = await tenant.rows("/messages/scheduled", conversation_id=conversation["id"])
    assert waits["id"] in [message["id"] for message in listed]
    await tenant.request("DELETE", f"/messages/scheduled/{waits['id']}", 204)
    sent = await status_reached(tenant, going["id"], "sent")
    assert (sent["seq"], sent["conversation_id"]) == (3, conversation["id"])
    (taken,) = waha.sent.values()
    assert (taken.chat, taken.text, taken.times) == (GROUP, "5", 1)
    assert await tenant.rows("/messages/scheduled") == []

    async def told() -> Any:
        texts = [r.json["data"]["message"]["content"] for r in receiver.of_type("message.sent")]
        return sorted(texts) == ["4", "5"]

    await eventually(told, "webhooks of what the company wrote")
    heard = [r.json["data"]["message"]["content"] for r in receiver.of_type("message.received")]
    assert heard == ["3"]
