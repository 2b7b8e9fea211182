"""Servers that all services stand on are away, one after the other and two at once."""

import pytest
from crm_fakes.waha import WahaSimulator
from e2e.crm import Tenant
from e2e.stack import SERVICES, Platform

from outages.causes import again_and_again, all_of, without, writes
from outages.watch import Watch

FOLLOW = {"OutboxUnled"}
"""Where the outage lasts: without its connection a relay leads nothing. Alertmanager mutes it."""


def of_all(alert: str) -> list[str]:
    """One of each service."""
    return [f"{alert} {name}" for name in SERVICES]


@pytest.mark.timeout(1200)
class TestServers:
    async def test_temporal_is_away(self, platform: Platform, watch: Watch) -> None:
        await watch.sees(without(platform, "temporal"), *of_all("TemporalAway"))

    async def test_the_database_is_away(self, platform: Platform, watch: Watch) -> None:
        await watch.sees(
            without(platform, "postgres"),
            *of_all("DatabaseAway"),
            *of_all("ServiceNotReady"),
            perhaps=FOLLOW,
        )

    async def test_the_broker_is_away(
        self, platform: Platform, watch: Watch, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        """Who wrote before has a session that ends meanwhile, which nobody can be told."""
        channel = await tenant.channel(waha, session_timeout_seconds=20)
        await writes(waha, channel)()
        await tenant.message_count(1)
        await watch.sees(
            all_of(without(platform, "rabbitmq"), again_and_again(writes(waha, channel))),
            *of_all("BrokerAway"),
            *of_all("ServiceNotReady")[1:],
            "QueuesUnseen",
            "IngressSpools",
            "OutboxWaits messaging",
            perhaps=FOLLOW,
        )

    async def test_broker_and_database_are_away(
        self, platform: Platform, watch: Watch, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        await watch.sees(
            all_of(
                without(platform, "rabbitmq", "postgres"), again_and_again(writes(waha, channel))
            ),
            *of_all("BrokerAway"),
            *of_all("DatabaseAway"),
            *of_all("ServiceNotReady"),
            "QueuesUnseen",
            "IngressRefuses",
            perhaps={*FOLLOW, "IngressSpools"},
        )
