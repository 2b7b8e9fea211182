"""The gateway forgets a person: webhooks that wait for the broker, what acts said of them."""

from typing import Any
from uuid import uuid4

from crm_gateway.access.standings import Standings
from crm_testing.schemas import Databases
from crm_testing.servers import RabbitServer
from crm_testing.services import Outside
from crm_testing.traces import erasure_of, traces_of, until_erased
from pydantic import SecretStr
from service_kit.database import Database
from shared_events.identity import WhatsAppId
from shared_events.services import GATEWAY

from services.gateway.tests.integration.conftest import RunGateway

HER = (WhatsAppId("phone", "5511988880001"), WhatsAppId("lid", "123456789012345"))
TRACES = ["5511988880001", "551188880001", "123456789012345", "Zwoelfkaese"]
_SPOOL = """
INSERT INTO ingress_spool (id, tenant_id, channel_id, event, body, headers, received_at,
    next_attempt_at)
VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'message', $2, '{}',
    now() + make_interval(hours => $3), now() + interval '1 day')
"""
_ACT = """
INSERT INTO audit_log (id, tenant_id, actor_type, actor_id, actor_name, action, target_type,
    outcome, address, request_id, after)
VALUES (gen_random_uuid(), $1, 'agent', gen_random_uuid(), 'Ana', 'hold.place', 'hold', 'done',
    '', 'request-1', $2)
"""
_USER = """
INSERT INTO users (id, tenant_id, name, email)
VALUES ($1::uuid, $2, 'Ana', $1::uuid || '@example.com')
"""
_AGENT = "INSERT INTO agents (id, tenant_id, role) VALUES ($1, $2, $3)"


async def story(database: Database, tenant_id: str, contact_id: Any) -> None:
    """Webhooks set aside, with the person's number and without, and an act about the person."""
    async with database.tenant(tenant_id) as tx:
        for body, hours in (
            (b'{"from": "551188880001@c.us", "body": "Zwoelfkaese"}', -1),
            (b'{"from": "123456789012345@lid", "body": "Zwoelfkaese"}', -1),
            (b'{"from": "5511977770002@c.us"}', -1),
            (b'{"from": "551188880001@c.us", "body": "later"}', 1),
        ):
            await tx.execute(_SPOOL, tenant_id, body, hours)
        await tx.execute(_ACT, tenant_id, {"contact_id": str(contact_id), "reason": "Zwoelfkaese"})
        await tx.execute(_ACT, tenant_id, {"reason": "of somebody else"})


class TestErasure:
    async def test_takes_what_waits_and_what_acts_say(
        self, databases: Databases, rabbitmq_server: RabbitServer, run_gateway: RunGateway
    ) -> None:
        database = await databases.create()
        amqp_url = await rabbitmq_server.create_vhost("gateway-erasure")
        changes = {"database_url": SecretStr(database.url), "erasure_settle_seconds": 0}
        ours, theirs, her = str(uuid4()), str(uuid4()), uuid4()
        async with run_gateway(amqp_url, **changes) as service, Outside(amqp_url) as outside:
            for tenant_id in (ours, theirs):
                await story(service.database, tenant_id, her)
            envelope = erasure_of(GATEWAY, ours, her, *HER)
            for _ in range(2):
                await outside.publish(envelope)
            report = await until_erased(service.database, envelope)
            assert report["erased"] == {"ingress_spool": 2, "audit_log": 1}
            async with service.database.tenant(ours) as tx:
                bodies = await tx.fetch("SELECT body FROM ingress_spool ORDER BY seq")
                acts = await tx.fetch("SELECT after FROM audit_log ORDER BY after")
            assert [b"later" in row["body"] for row in bodies] == [False, True]
            assert [row["after"] for row in acts] == [{"reason": "of somebody else"}, None]
        left = await traces_of(database, ours, TRACES)
        assert left == {"ingress_spool.body"}  # of whoever writes from that number now
        kept = await traces_of(database, theirs, TRACES)
        assert kept == {"ingress_spool.body", "audit_log.after"}

    async def test_admins_are_counted_as_they_are_now(self, databases: Databases) -> None:
        ours, theirs = str(uuid4()), str(uuid4())
        ana, bia, cai = uuid4(), uuid4(), uuid4()
        async with (await databases.create()).connected() as database:
            for tenant_id, user_id, role in (
                (ours, ana, "admin"),
                (ours, bia, "supervisor"),
                (theirs, cai, "admin"),
            ):
                async with database.tenant(tenant_id) as tx:
                    await tx.execute(_USER, user_id, tenant_id)
                    await tx.execute(_AGENT, user_id, tenant_id, role)
            standings = Standings(database)
            assert await standings.is_sole_admin(ours, ana)
            for changes, alone in (
                ("role = 'admin'", False),
                ("active = false", True),
            ):
                async with database.tenant(ours) as tx:
                    await tx.execute(f"UPDATE agents SET {changes} WHERE id = $1", bia)  # noqa: S608
                assert await standings.is_sole_admin(ours, ana) is alone
