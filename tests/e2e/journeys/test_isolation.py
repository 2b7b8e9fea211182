"""No tenant sees another's rows, no service another's schema."""

import asyncpg
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant
from e2e.stack import SERVICES, Platform


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
            ("/sessions/{}/notes", message["session_id"]),
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


class TestService:
    async def test_is_let_into_no_schema_but_its_own(self, platform: Platform) -> None:
        schemas = [schema.replace("-", "_") for schema in platform.state["database_urls"]]
        admin = await asyncpg.connect(platform.state["database_url"])
        try:
            allowed = await admin.fetch(
                """
                SELECT role.rolname, schema.nspname FROM pg_roles role, pg_namespace schema
                WHERE role.rolname LIKE 'crm%' AND role.rolcanlogin AND schema.nspname = ANY($1)
                    AND has_schema_privilege(role.oid, schema.oid, 'USAGE')
                """,
                schemas,
            )
        finally:
            await admin.close()
        assert len(schemas) == len(SERVICES)
        assert {tuple(row) for row in allowed} == {(f"crm_{own}_app", own) for own in schemas}
