"""What alerts and dashboards ask for is what running services say, and a message moves it."""

import asyncio
import subprocess
from collections import defaultdict

import httpx
import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from deploy.manifests import ROOT
from deploy.telemetry import ITS_OWN, alerts, asked, dashboards
from prometheus_client.parser import text_string_to_metric_families

from e2e.crm import Tenant, eventually
from e2e.stack import SERVICES, Platform

STILL = {
    **dict.fromkeys(("crm_ready", "crm_health_check"), "1 while all is well, as is asked for here"),
    **dict.fromkeys(
        ("crm_outbox_pending", "crm_outbox_oldest_pending_age_seconds"),
        "looked at every 5 s, when what was written is gone again",
    ),
    "crm_temporal_workers": "the same from start to end",
    "crm_consumer_set_aside_total": "wants a lock that somebody holds",
    "crm_dead_lettered_total": "wants a message that nobody can read: test_poison.py",
    "crm_http_requests_shed_total": "wants more than can be done: test_admission.py",
    "process_resident_memory_bytes": "need not change within seconds",
    **dict.fromkeys(
        (
            *("crm_ingress_spooled", "crm_bus_requests_unproven_total", "crm_task_restarts_total"),
            *("crm_outbox_failed", "crm_outbox_relay_shards"),
            *("crm_waha_deaf_channels", "crm_waha_stalled_messages"),
            *("webhooks_endpoints_disabled_total", "webhooks_exhausted_total"),
        ),
        "moved by what is wrong, which tests/outages is about: an alert on it must fire there",
    ),
    **dict.fromkeys(
        ("rabbitmq_detailed_queue_consumers", "rabbitmq_detailed_queue_messages_ready"),
        "this platform's broker shows nothing; in tests/outages an alert on it must fire",
    ),
}
"""What is asked for and does not move on a message's way, and why."""

PEOPLE = 200
PROMTOOL = ROOT / "tools" / "promtool"

WELL = {
    "crm_ready 1.0",
    *(f'crm_health_check{{check="{check}"}} 1.0' for check in ("database", "rabbitmq", "temporal")),
}
"""What every service says where all is there."""


async def scrape(platform: Platform, service: str) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{platform.url(service)}/metrics")).text


async def figures(platform: Platform) -> dict[str, dict[str, float]]:
    """By service what each name has in all, whatever its labels."""
    found: dict[str, dict[str, float]] = {}
    for service in SERVICES:
        theirs = found[service] = defaultdict[str, float](float)
        for family in text_string_to_metric_families(await scrape(platform, service)):
            # What has no series yet is there all the same, once its labels are known.
            parts = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
            for part in parts.get(family.type, [""]):
                theirs[f"{family.name}{part}"] += 0
            for sample in family.samples:
                theirs[sample.name] += sample.value
    return found


async def series(platform: Platform) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """All series of all services: a name with labels and their values."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for service in SERVICES
        for family in text_string_to_metric_families(await scrape(platform, service))
        for sample in family.samples
    }


def asked_for() -> set[str]:
    """The metrics in all alerts and dashboards."""
    wanted = [rule["expr"] for rule in alerts()]
    for board in dashboards():
        wanted += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return {one.metric for expression in wanted for one in asked(expression)} - set(ITS_OWN)


def promtool(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Prometheus' own tool, with this on its standard input."""
    return subprocess.run([PROMTOOL, *words], input=said, capture_output=True, text=True)


class TestMetrics:
    async def test_asked_for_are_exported_and_move(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        """By a picture that comes, is told to a customer's program, and is answered."""
        assert set(STILL) <= asked_for()
        before = await figures(platform)
        channel = await tenant.channel(waha)
        await tenant.endpoint(receiver, "message.received")
        await waha.receive_image(channel.waha_session, "5511944440001", "oi")
        [message] = await tenant.message_count(1)
        reply = {"contact_id": message["contact_id"], "channel_id": channel.id, "content": "olá"}
        await tenant.post("/messages/send", reply)

        async def still() -> set[str]:
            after = await figures(platform)
            exported = set[str]().union(*after.values())
            assert {one for one in asked_for() if not one.startswith("rabbitmq_")} <= exported
            moved = {
                name
                for service, now in after.items()
                for name, value in now.items()
                if value != before[service][name]
            }
            return asked_for() - set(STILL) - moved

        async def all_moved() -> bool:
            return not await still()

        try:
            await eventually(all_moved, "metrics of a message's way", every=0.5)
        except AssertionError as error:
            raise AssertionError(f"{sorted(await still())} did not move") from error

    async def test_have_no_series_for_each_person(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        phones = [f"5511955{number:06}" for number in range(PEOPLE)]
        before = await series(platform)
        for phone in phones:
            await waha.receive_text(channel.waha_session, phone, "oi")
        await tenant.message_count(PEOPLE)
        new = await series(platform) - before
        assert len(new) < PEOPLE
        named = {value for _, labels in new for _, value in labels}
        assert not named & {*phones, tenant.id, channel.id, channel.waha_session}

    async def test_say_that_all_is_well(self, platform: Platform) -> None:
        async def well() -> bool:
            said = [await scrape(platform, name) for name in SERVICES]
            return all(set(text.splitlines()) >= WELL for text in said)

        await eventually(well, "metrics of a platform that is well", every=0.5)

    async def test_are_named_as_prometheus_wants_them(self, platform: Platform) -> None:
        if promtool("--version").returncode:
            pytest.skip("there is no promtool: see tools/promtool")
        damaged = promtool("check", "metrics", said="# TYPE things counter\nthings 1\n")
        assert 'counter metrics should have "_total" suffix' in damaged.stderr
        for service in SERVICES:
            text = await scrape(platform, service)
            found = await asyncio.to_thread(promtool, "check", "metrics", said=text)
            assert (found.returncode, found.stdout + found.stderr) == (0, ""), service
