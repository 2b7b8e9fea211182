"""Admins are written to about endpoints that fail, in their language, and not every minute."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
from crm_fakes.mail import MailServer, Received
from crm_testing.servers import RabbitServer
from crm_testing.services import Company, Outside
from pydantic import SecretStr
from service_kit.service import Service
from shared_events.webhooks.endpoint import (
    WebhookEndpoint,
    WebhookEndpointDisabled,
    WebhookEndpointFailing,
)

from services.gateway.tests.integration.conftest import (
    MakeDatabase,
    RunGateway,
    http_client,
    register,
)
from services.gateway.tests.integration.mail.letters import forgot, letters_to, token_in

NOW = datetime.now(UTC)
URL = "https://loja.example.com.br/" + "x" * 4000


def endpoint(endpoint_id: UUID, reason: str | None) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=endpoint_id,
        url=URL,
        event_types=["*"],
        enabled=reason is None,
        disabled_reason=reason,
        version=1,
        created_at=NOW,
        updated_at=NOW,
    )


def failing(endpoint_id: UUID) -> WebhookEndpointFailing:
    return WebhookEndpointFailing(
        endpoint=endpoint(endpoint_id, None),
        percent=50,
        failing_since=datetime(2026, 1, 5, 23, 30, tzinfo=UTC),
        failed_deliveries=20,
        disabled_at=datetime(2026, 1, 10, 23, 30, tzinfo=UTC),
    )


def disabled(endpoint_id: UUID, reason: str) -> WebhookEndpointDisabled:
    return WebhookEndpointDisabled(endpoint=endpoint(endpoint_id, reason))


def is_notice(letter: Received, email: str) -> bool:
    """Whether a letter is to this person, and leads to nothing that only they may open."""
    return letter.recipients == (email,) and "#token=" not in letter.text


async def notices_to(mail: MailServer, email: str, count: int = 1) -> list[Received]:
    return await mail.wait_for(lambda letter: is_notice(letter, email), count=count)


async def joined(client: httpx.AsyncClient, mail: MailServer, admin: str, **fields: str) -> str:
    """Somebody who was invited and speaks Portuguese; returns their e-mail."""
    email = f"bia-{uuid4().hex}@example.com"
    invited = {"name": "Bia", "email": email, "role": "admin", **fields}
    headers = {"Authorization": admin}
    assert (await client.post("/agents", json=invited, headers=headers)).status_code == 201
    (letter,) = await letters_to(mail, email, page="accept-invitation")
    accepted = {
        "invitation_token": token_in(letter, "accept-invitation"),
        "password": "correct horse",
    }
    answer = await client.post(
        "/auth/accept-invitation", json=accepted, headers={"Accept-Language": "pt"}
    )
    assert answer.status_code == 200
    return email


async def test_they_get_one_letter_of_a_kind_a_day(
    run_gateway: RunGateway,
    make_database: MakeDatabase,
    rabbitmq_server: RabbitServer,
    mail: MailServer,
) -> None:
    amqp_url = await rabbitmq_server.create_vhost("endpoint-notices")
    async with (
        run_gateway(
            amqp_url,
            database_url=SecretStr(await make_database()),
            smtp_url=f"smtp+plain://{mail.host}:{mail.port}",
            mail_from="Ventros <no-reply@example.com>",
            public_url="https://crm.example.com",
            mail_retry_seconds=0.2,
        ) as service,
        http_client(service) as client,
        Outside(amqp_url) as outside,
    ):
        account, other = await register(client), await register(client)
        bia = await joined(client, mail, account.bearer["Authorization"])
        agent = await joined(client, mail, account.bearer["Authorization"], role="agent")
        company = Company(service.database, outside, account.tenant_id)
        theirs = Company(service.database, outside, other.tenant_id)
        broken, another = uuid4(), uuid4()

        await company.publish(disabled(broken, "disabled_by_user"))
        await company.publish(failing(broken))
        await company.publish(failing(broken))
        await company.publish(disabled(broken, "failing"))
        await company.publish(disabled(another, "gone"))
        await company.publish(disabled(another, "gone"))
        await theirs.publish(failing(uuid4()))  # the queue is in order: nothing else comes
        await notices_to(mail, other.email)

        english = await notices_to(mail, account.email, 3)
        portuguese = await notices_to(mail, bia, 3)
        assert sorted(letter.message["Subject"] for letter in english) == [
            "A webhook endpoint was disabled",
            "A webhook endpoint was disabled",
            "Your webhooks do not arrive",
        ]
        (warned,) = [letter for letter in english if "2026" in letter.text]
        assert URL in warned.text
        assert "2026-01-05 23:30 UTC" in warned.text
        assert "2026-01-10 23:30 UTC" in warned.text
        assert any("05/01/2026 23:30 UTC" in letter.text for letter in portuguese)
        assert not [letter for letter in mail.received if is_notice(letter, agent)]


async def test_a_letter_that_waits_is_replaced_by_none_about_something_else(
    mailing: Service, client: httpx.AsyncClient, mail: MailServer
) -> None:
    account = await register(client)
    await mail.stop()
    try:
        assert (await forgot(client, account.email)).status_code == 202
        async with mailing.database.tenant(account.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO mails (id, tenant_id, user_id, topic, sealed, expires_at)"
                " SELECT gen_random_uuid(), tenant_id, user_id, 'endpoint 1', sealed, $1"
                " FROM mails",
                datetime.now(UTC) + timedelta(days=1),
            )
        assert (await forgot(client, account.email)).status_code == 202
        async with mailing.database.tenant(account.tenant_id) as tx:
            kept = await tx.fetch("SELECT topic FROM mails ORDER BY topic")
        assert [row["topic"] for row in kept] == ["account", "endpoint 1"]
    finally:
        await mail.start()
    await letters_to(mail, account.email, 2)
