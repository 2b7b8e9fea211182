"""A gateway that mails, and who is mailed."""

from collections.abc import AsyncIterator

import httpx
import pytest
from crm_fakes.mail import MailServer
from pydantic import SecretStr
from service_kit.service import Service

from services.gateway.tests.integration.conftest import MakeDatabase, RunGateway, http_client


@pytest.fixture(scope="session")
async def mail() -> AsyncIterator[MailServer]:
    """Who sends the mail of the gateway that mails."""
    async with MailServer() as server:
        yield server


@pytest.fixture(scope="session")
async def mailing(
    gateway: Service, run_gateway: RunGateway, make_database: MakeDatabase, mail: MailServer
) -> AsyncIterator[Service]:
    """A gateway that mails, on a database of its own: others would send what waits in theirs."""
    async with run_gateway(
        gateway.settings.amqp_url,
        database_url=SecretStr(await make_database()),
        smtp_url=f"smtp+plain://{mail.host}:{mail.port}",
        mail_from="Ventros <no-reply@example.com>",
        public_url="https://crm.example.com",
        mail_retry_seconds=0.2,
        invitations_per_tenant=8,
    ) as service:
        yield service


@pytest.fixture
async def client(mailing: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it, from an address of the test's own."""
    async with http_client(mailing) as client:
        yield client
