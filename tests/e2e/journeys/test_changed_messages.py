"""What becomes of messages after they were said: edits, reactions and deletions, both ways."""

from collections.abc import Callable
from typing import Any

from crm_fakes.receiver import ReceivedRequest, WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually, of_type

PHONE = "5511966660001"


def chose(option: str) -> Callable[[ReceivedRequest], bool]:
    """Whether it is told that somebody chose this, and nothing else."""

    def told(request: ReceivedRequest) -> bool:
        options: list[str] = request.json["data"]["vote"]["options"]
        return options == [option]

    return told


class TestChangedMessages:
    async def test_customer_and_agent_change_their_minds(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        channel = await tenant.channel(waha)
        await tenant.endpoint(receiver, "message.*")
        session = channel.waha_session
        heard = await waha.receive_text(session, PHONE, "Entregam em Campinas?")
        [asked] = await tenant.message_count(1)
        await waha.edit(session, heard.bare_id, "Entregam em Valinhos?")
        told = (await receiver.wait_for(of_type("message.edited"))).json["data"]
        assert told["previous_content"] == "Entregam em Campinas?"
        edited = await tenant.get(f"/messages/{asked['id']}")
        assert edited["content"] == "Entregam em Valinhos?"
        assert (edited["seq"], edited["sent_at"]) == (asked["seq"], asked["sent_at"])

        path = f"/messages/{asked['id']}"
        reaction = {"emoji": "👍"}
        shown = await tenant.request("PUT", f"{path}/reaction", 200, json=reaction)
        assert [(r["emoji"], r["by"]) for r in shown["reactions"]] == [("👍", "agent")]
        await tenant.request("DELETE", f"{path}/reaction", 204)
        problem = await tenant.request("PATCH", path, 409, json={"content": "x"})
        assert problem["code"] == "not_ours"

        body = {
            "contact_id": asked["contact_id"],
            "channel_id": channel.id,
            "content": "Não entregamos.",
        }
        queued = await tenant.post("/messages/send", body)
        path = f"/messages/{queued['id']}"

        async def named() -> Any:
            return (await tenant.get(path))["external_id"]

        bare = await eventually(named, "WhatsApp's id")
        stale = {"If-Match": '"0"'}
        await tenant.request("PATCH", path, 412, json={"content": "x"}, headers=stale)
        await tenant.request("PATCH", path, 422, json={"content": " "})
        changed = await tenant.request("PATCH", path, 200, json={"content": "Entregamos sim!"})
        assert changed["content"] == "Entregamos sim!"
        versions = (await tenant.get(f"{path}/versions"))["data"]
        assert [v["content"] for v in versions] == ["Não entregamos.", "Entregamos sim!"]
        for _ in range(2):
            await tenant.request("DELETE", path, 204)
        await waha.deliveries.wait_for(lambda d: d.event == "message.revoked")
        assert [(kind, what) for kind, _, what in waha.actions] == [
            ("reaction", f"{heard.bare_id} 👍"),
            ("reaction", heard.bare_id),
            ("edit", f"{bare} Entregamos sim!"),
            ("revoke", bare),
        ]
        await receiver.wait_for(of_type("message.revoked"))
        gone = await tenant.get(path)
        assert (gone["content"], gone["revoked_at"] is None) == ("Entregamos sim!", False)

    async def test_customer_votes_and_changes_their_mind(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        channel = await tenant.channel(waha)
        await tenant.endpoint(receiver, "message.voted")
        await waha.receive_text(channel.waha_session, PHONE, "Entregam?")
        [asked] = await tenant.message_count(1)
        body = {
            "contact_id": asked["contact_id"],
            "channel_id": channel.id,
            "content_type": "poll",
            "poll": {"question": "Como prefere?", "options": ["Entrega", "Retirada"]},
        }
        path = f"/messages/{(await tenant.post('/messages/send', body))['id']}"

        async def named() -> Any:
            return (await tenant.get(path))["external_id"]

        bare = await eventually(named, "WhatsApp's id")
        assert (await tenant.get(path))["poll"] is None
        for chosen in ("Retirada", "Entrega"):
            await waha.vote(channel.waha_session, bare, [chosen])
            told = await receiver.wait_for(chose(chosen))
        poll = (await tenant.get(path))["poll"]
        counted = [(option["name"], option["votes"]) for option in poll["options"]]
        assert counted == [("Entrega", 1), ("Retirada", 0)]
        assert poll == told.json["data"]["message"]["poll"]
