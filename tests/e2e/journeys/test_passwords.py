"""The passwords of database and broker, turned by command under a whole platform at work."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from crm_testing.commands import crm
from crm_testing.servers import RabbitServer, running_rabbitmq
from shared_events.services import SERVICES

from e2e.crm import Tenant
from e2e.journeys.test_faults import watched
from e2e.journeys.test_operating import Installation
from e2e.stack import Platform, running_platform

pytestmark = pytest.mark.timeout(900)  # each command is a process, and all are replaced

MESSAGES = 600
"""One a second while passwords turn, the rest when they have."""
FIRST, SECOND = (f"the-{which}-password-of-these-tests" for which in ("first", "second"))


def with_password(url: str, password: str, user: str | None = None) -> str:
    """The same place with another login."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user or parts.username}:{password}@{host}"))


@dataclass(frozen=True)
class Guarded:
    """A platform whose broker has an administrator's API, as those of deployments have."""

    platform: Platform
    installation: Installation
    broker: RabbitServer

    def logins(self, name: str, password: str) -> dict[str, str]:
        """Where a service logs in, by this password."""
        user = next(service.bus_user for service in SERVICES if service.name == name)
        return {
            "DATABASE_URL": with_password(self.platform.settings(name)["DATABASE_URL"], password),
            "RABBITMQ_URL": with_password(self.broker.url, password, user),
        }


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    installation = Installation(folder / "programs")
    async with running_rabbitmq() as broker:
        for service in SERVICES:
            url = with_password(broker.url, FIRST, service.bus_user)
            login = {"RABBITMQ_URL": url, "RABBITMQ_ADMIN_URL": broker.administration}
            installation.give(service.name, **login)
        settings = {"CRM_PROGRAMS": str(installation.programs), "RABBITMQ_URL": broker.url}
        async with running_platform(folder / "stack", **settings) as platform:
            yield Guarded(platform, installation, broker)


@pytest.fixture
async def company(guarded: Guarded) -> AsyncIterator[Tenant]:
    company = await Tenant(guarded.platform.gateway_url).register()
    yield company
    await company.http.aclose()


class TestTurningPasswords:
    async def test_loses_and_doubles_nothing(
        self, guarded: Guarded, company: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        """One service after the other, both its passwords at once, while people write."""
        platform = guarded.platform
        administrators = {
            "DATABASE_ADMIN_URL": platform.state["database_url"],
            "RABBITMQ_ADMIN_URL": guarded.broker.administration,
        }
        async with watched(company, waha, receiver, MESSAGES) as traffic:
            enough = asyncio.Event()

            async def write() -> None:
                while not enough.is_set() and len(traffic.texts) < MESSAGES:
                    await traffic.write(2, per_second=0.5)

            writing = asyncio.create_task(write())
            for service in SERVICES:
                name = service.name
                turned = platform.settings(name) | guarded.logins(name, SECOND)
                said = await crm(name, "keys", "rotate", "--passwords", **turned, **administrators)
                assert said.code == 0, said.out + said.err
                assert len(said.documents) == 2
                guarded.installation.give(name, **guarded.logins(name, SECOND))
                await platform.all_at_once("stop", name)
                await platform.all_at_once("start", name)
                await platform.healthy()
                await traffic.reached(len(traffic.texts) + 3)
                before = turned | guarded.logins(name, FIRST)
                said = await crm(name, "doctor", "--no-process", **before)
                assert "does not let the runtime role in" in said.out
                assert f"does not let {service.bus_user} in" in said.out
            enough.set()
            await writing
            await traffic.write(MESSAGES - len(traffic.texts), per_second=60)
