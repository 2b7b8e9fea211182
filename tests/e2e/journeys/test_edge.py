"""What strangers send along with a request stops at the edge: one caller stops nobody else."""

import asyncio
from uuid import uuid4

import pytest
from crm_fakes import examples
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually, of_type
from e2e.journeys.test_examples import post
from e2e.stack import Platform

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
ABSURD = [
    {"tracestate": "a" * 200_000},
    {"traceparent": PARENT, "tracestate": "a" * 200_000},
    {"traceparent": PARENT + "0" * 10},
    {"traceparent": "x" * 200_000, "X-Request-Id": "y" * 50_000},
]


@pytest.mark.parametrize("headers", ABSURD, ids=["state", "both", "longer", "all"])
class TestAbsurdHeaders:
    async def test_on_a_webhook_stop_no_other_company(
        self,
        platform: Platform,
        tenant: Tenant,
        waha: WahaSimulator,
        receiver: WebhookReceiver,
        headers: dict[str, str],
    ) -> None:
        other = await Tenant(platform.gateway_url).register()
        example = examples.by_name("text_inbound_dm_gows")
        for company, more in ((tenant, headers), (other, {})):
            channel = await company.channel(waha, pair=False)
            await company.endpoint(receiver, "message.received")
            await post(company, channel, example, **more)
        for company in (tenant, other):
            await company.message_count(1)

        async def both_told() -> bool:
            told = [r for r in receiver.requests if of_type("message.received")(r)]
            return {r.json["tenant_id"] for r in told} == {tenant.id, other.id}

        await eventually(both_told, "webhook of each company")
        await other.http.aclose()

    async def test_on_a_request_stop_no_request_beside_it(
        self, platform: Platform, tenant: Tenant, headers: dict[str, str]
    ) -> None:
        other = await Tenant(platform.gateway_url).register()
        answers = await asyncio.gather(
            *(tenant.http.get("/contacts", headers=headers) for _ in range(5)),
            *(other.http.get("/contacts") for _ in range(20)),
        )
        assert {answer.status_code for answer in answers} == {200}
        await other.http.aclose()

    async def test_on_a_registration_hold_up_no_event_of_the_gateway(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator, headers: dict[str, str]
    ) -> None:
        await tenant.http.post("/auth/register", json=company_data(), headers=headers)
        hired = await tenant.post(
            "/agents", {"name": "Bia", "email": f"{uuid4()}@example.com", "role": "agent"}
        )
        channel = await tenant.channel(waha)
        await waha.receive_text(channel.waha_session, "5511944440001", "oi")
        [message] = await tenant.message_count(1)

        async def messaging_knows_the_agent() -> bool:
            answer = await tenant.http.post(
                f"/sessions/{message['session_id']}/assign", json={"agent_id": hired["id"]}
            )
            return answer.status_code == 200

        await eventually(messaging_knows_the_agent, "agent of this company in messaging")


def company_data() -> dict[str, str]:
    return {
        "name": "Eve",
        "email": f"eve-{uuid4()}@example.com",
        "password": "correct horse battery",
        "organization": "Outra Loja",
    }
