"""The inbox over REST: what waits for an answer, what was said, how far it was read."""

from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually


class TestInbox:
    async def test_shows_what_waits_until_it_is_read(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        for number in range(5):
            text = f"mensagem {number}"
            await waha.receive_text(
                channel.waha_session, "5511988880001", text, push_name="João Conceição"
            )
        await tenant.message_count(5)
        unread = {"unread": "true", "assigned": "none", "status": "active"}
        (conversation,) = await tenant.rows("/conversations", search="joao conc", **unread)
        assert conversation["contact"]["name"] == "João Conceição"
        assert (conversation["seq"], conversation["unread_count"]) == (5, 5)
        assert conversation["last_message"]["preview"] == "mensagem 4"
        path = f"/conversations/{conversation['id']}"
        newest = await tenant.get(f"{path}/messages", direction="backward", limit=2)
        assert [m["seq"] for m in newest["data"]] == [5, 4]
        oldest = await tenant.rows(f"{path}/messages", direction="forward")
        assert [m["seq"] for m in oldest] == [1, 2, 3, 4, 5]
        latest = await tenant.get("/messages", sort="-sent_at", limit=1)
        assert latest["data"][0]["content"] == "mensagem 4"
        since = {"sent_at[gte]": "2100-01-01T00:00:00Z"}
        assert (
            await tenant.rows(f"/contacts/{conversation['contact']['id']}/messages", **since) == []
        )
        for _ in range(2):
            await tenant.post(f"{path}/read", {"up_to_seq": 5}, expect=204)
        assert (await tenant.get(path))["unread_count"] == 0
        assert await tenant.rows("/conversations", unread="true") == []

        session = conversation["active_session"]["id"]
        await tenant.post(f"/sessions/{session}/close", expect=200)

        async def closed() -> bool:
            return (await tenant.get(path))["active_session"] is None

        await eventually(closed, "closed", seconds=5)
        reopened = await tenant.post(f"/sessions/{session}/reopen", expect=200)
        assert (reopened["status"], reopened["reopen_count"]) == ("active", 1)
        assert await tenant.rows(f"/sessions/{session}/assignments") == []
