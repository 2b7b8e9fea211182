"""What is mailed arrives, whatever becomes of the mail server, and nobody else reads it."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_fakes.mail import DROP, MailServer
from crm_gateway.agents import repository as agents
from crm_gateway.agents.places import Place
from crm_gateway.mail.letters import Letter
from crm_gateway.mail.mailer import SmtpMailer
from crm_gateway.mail.post import Post
from crm_gateway.settings import GatewaySettings
from service_kit.service import Service
from structlog.testing import capture_logs

from services.gateway.tests.integration.conftest import (
    register,
    until,
)
from services.gateway.tests.integration.mail.letters import (
    forgot,
    is_of,
    letters_to,
    nothing_waits,
    reset,
    token_in,
)


@pytest.fixture
def said() -> Iterator[list[Any]]:
    """What our own code logs, before anything is hidden in it."""
    with capture_logs() as entries:
        yield entries


class TestOutages:
    async def test_what_is_mailed_waits_sealed_for_the_server_and_arrives_once(
        self,
        client: httpx.AsyncClient,
        mailing: Service,
        mail: MailServer,
        caplog: pytest.LogCaptureFixture,
        said: list[Any],
    ) -> None:
        account, other = await register(client), await register(client)
        caplog.set_level(logging.DEBUG, "aiosmtplib")
        await mail.stop()
        try:
            for each in (account, other):
                assert (await forgot(client, each.email)).status_code == 202
            async with mailing.database.tenant(account.tenant_id) as tx:
                (kept,) = await tx.fetch("SELECT mails::text FROM mails")
            assert "@" not in kept[0]

            async def degraded() -> bool:
                health = (await client.get("http://gateway/health")).json()
                return health["checks"]["mail"]["healthy"] is False

            await until(degraded)
            assert (await client.get("http://gateway/health/ready")).status_code == 200
        finally:
            await mail.start()
        tokens = [token_in((await letters_to(mail, each.email))[0]) for each in (account, other)]
        mail.answer("RCPT", f"450 4.2.1 {account.email} is busy", "451 4.3.0 still")
        assert (await forgot(client, account.email)).status_code == 202
        newest = (await letters_to(mail, account.email, 2))[-1]
        mail.answer("RCPT", f"550 5.1.1 {other.email} is unknown")
        assert (await forgot(client, other.email)).status_code == 202
        await nothing_waits(mailing)
        assert len(await letters_to(mail, account.email)) == 2
        assert len(await letters_to(mail, other.email)) == 1
        assert await reset(client, token_in(newest)) == 204
        logged = "\n".join([caplog.text, *map(str, said)])
        assert "mail_postponed" in logged and "mail_refused" in logged
        for secret in (*tokens, token_in(newest), account.email, other.email):
            assert secret not in logged

    async def test_one_whose_confirmation_is_lost_is_sent_again_as_the_same(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account = await register(client)
        await nothing_waits(mailing)
        mail.answer("DATA", DROP)
        await forgot(client, account.email)
        once, twice = await letters_to(mail, account.email, 2)
        await nothing_waits(mailing)
        assert once.message["message-id"] == twice.message["message-id"]
        assert token_in(once) == token_in(twice)
        assert await reset(client, token_in(twice)) == 204

    async def test_what_expires_first_is_given_up_and_what_is_to_another_address_called_back(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account, mover = await register(client), await register(client)
        await mail.stop()
        try:
            for each in (account, mover):
                await forgot(client, each.email)
            moved = {"email": f"{uuid4().hex}@example.com"}
            path = f"/agents/{mover.user_id}"
            for change in ({"name": "Eva"}, moved):
                await client.put(path, json=change, headers=mover.bearer)
                async with mailing.database.tenant(mover.tenant_id) as tx:
                    assert await tx.fetchval("SELECT count(*) FROM mails") == 1
            async with mailing.database.tenant(account.tenant_id) as tx:
                await tx.execute("UPDATE mails SET expires_at = now()")
        finally:
            await mail.start()
        await letters_to(mail, moved["email"], page="verify-email")
        await nothing_waits(mailing)
        gone = (account.email, mover.email)
        assert not any(is_of(r, email, "reset-password") for r in mail.received for email in gone)

    async def test_of_many_senders_each_mail_has_one(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        settings = mailing.settings
        assert isinstance(settings, GatewaySettings)
        server, sender = settings.smtp_server, settings.mail_sender
        assert server is not None and sender is not None
        one, two = (
            Post(
                mailing.database, settings.mail_seal, SmtpMailer(server, sender), retry_seconds=0.2
            )
            for _ in range(2)
        )
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        wanted: dict[str, str] = {}
        for account in (await register(client), await register(client)):
            async with mailing.database.tenant(account.tenant_id) as tx:
                for _ in range(12):
                    email = f"{uuid4().hex}@example.com"
                    agent = await agents.add(tx, agents.Named("Bia", email, Place("agent")))
                    assert agent is not None
                    await one.put(tx, agent.id, Letter(email, "Oi", "earlier"), expires_at)
                    letter = Letter(email, "Oi", account.tenant_id)
                    await one.put(tx, agent.id, letter, expires_at)
                    wanted[email] = account.tenant_id
        senders = [asyncio.create_task(post.run()) for post in (one, two)]
        try:
            await nothing_waits(mailing)
        finally:
            for task in senders:
                task.cancel()
        arrived = [r for r in mail.received if r.recipients[0] in wanted]
        assert Counter(r.recipients[0] for r in arrived) == dict.fromkeys(wanted, 1)
        assert {r.recipients[0]: r.text.strip() for r in arrived} == wanted
