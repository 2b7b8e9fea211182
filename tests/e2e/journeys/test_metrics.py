"""What alerts and dashboards ask for is what running services say, and a message moves it."""

import httpx
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from deploy.telemetry import ITS_OWN, alerts, asked, dashboards
from prometheus_client.parser import text_string_to_metric_families

from e2e.crm import Tenant, eventually
from e2e.stack import SERVICES, Platform

MOVED = {
    'crm_ingress_webhooks_total{outcome="accepted"}',
    'crm_waha_events_total{event="message.any",outcome="handled"}',
    'message_processing_total{consumer="messaging.channel_events",status="success"}',
    'crm_outbox_published_total{result="published"}',
    'webhooks_attempts_total{outcome="delivered"}',
}

WELL = {
    "crm_ready 1.0",
    *(f'crm_health_check{{check="{check}"}} 1.0' for check in ("database", "rabbitmq", "temporal")),
}
"""What every service says where all is there."""


async def scrape(platform: Platform, service: str) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{platform.url(service)}/metrics")).text


def series(text: str) -> set[str]:
    """Every name that has a series, or may come to have one."""
    found = set()
    for family in text_string_to_metric_families(text):
        parts = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        found |= {f"{family.name}{part}" for part in parts.get(family.type, [""])}
    return found


class TestMetrics:
    async def test_asked_for_are_exported_and_move(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        channel = await tenant.channel(waha)
        await tenant.endpoint(receiver, "message.received")
        await waha.receive_text(channel.waha_session, "5511944440001", "oi")

        said: dict[str, str] = {}

        async def moved() -> bool:
            said.update({name: await scrape(platform, name) for name in SERVICES})
            lines = "\n".join(said.values()).splitlines()
            well = all(set(text.splitlines()) >= WELL for text in said.values())
            return well and {line.rpartition(" ")[0] for line in lines} >= MOVED

        await eventually(moved, "metrics of a message's way")
        wanted = [rule["expr"] for rule in alerts()]
        for board in dashboards():
            wanted += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        names = {one.metric for expression in wanted for one in asked(expression)} - set(ITS_OWN)
        exported = set().union(*map(series, said.values()))
        assert {name for name in names if not name.startswith("rabbitmq_")} <= exported
