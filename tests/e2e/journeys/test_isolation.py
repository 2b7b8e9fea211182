"""No tenant sees another's rows."""

from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant
from e2e.stack import Platform


class TestAnotherTenant:
    async def test_gets_404_alike_for_what_is_not_its_own_and_what_does_not_exist(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        await waha.receive_text(channel.waha_session, "5511944440001", "segredo")
        [message] = await tenant.message_count(1)
        endpoint = await tenant.post("/webhook-endpoints", {"url": "http://127.0.0.1:9/x"})
        other = await Tenant(platform.gateway_url).register()
        missing = "01890000-0000-7000-8000-000000000000"
        for path, identifier in (
            ("/contacts/{}", message["contact_id"]),
            ("/contacts/{}/messages", message["contact_id"]),
            ("/contacts/{}/sessions", message["contact_id"]),
            ("/messages/{}", message["id"]),
            ("/sessions/{}", message["session_id"]),
            ("/sessions/{}/messages", message["session_id"]),
            ("/channels/{}", channel.id),
            ("/webhook-endpoints/{}", endpoint["id"]),
        ):
            theirs = await other.http.get(path.format(identifier))
            nobodys = await other.http.get(path.format(missing))
            assert theirs.status_code == nobodys.status_code == 404, path
            strip = ("request_id", "instance")
            assert {k: v for k, v in theirs.json().items() if k not in strip} == {
                k: v for k, v in nobodys.json().items() if k not in strip
            }, path
        for path in ("/contacts", "/messages", "/sessions", "/channels", "/webhook-endpoints"):
            assert await other.rows(path) == [], path
        refused = await other.http.post(
            "/messages/send",
            json={"contact_id": message["contact_id"], "channel_id": channel.id, "content": "oi"},
        )
        assert refused.status_code == 404
        await other.http.aclose()
