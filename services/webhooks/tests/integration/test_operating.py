"""The operator's commands on real servers, and secrets turned while deliveries go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_testing.commands import Said, crm
from crm_testing.scenes.webhooks import Tenant
from crm_testing.schemas import MigratedDatabase
from crm_testing.servers import PostgresServer, RabbitServer, TemporalServer
from crm_testing.services import eventually, running
from crm_webhooks.app import create_service
from cryptography.fernet import Fernet
from pydantic import SecretStr
from service_kit.sealing import Seal
from service_kit.service import Service
from shared_events.services import WEBHOOKS
from shared_events.topology import CONTACT_WEBHOOK

from services.webhooks.tests.conftest import NewPlace, Place

pytestmark = pytest.mark.timeout(600)  # each command is a process of its own

OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))


def environment(place: Place, **settings: str) -> dict[str, str]:
    """What a process of the service is given."""
    return {
        "CRM_ENV": "test",
        "DATABASE_URL": place.database.url,
        "RABBITMQ_URL": place.amqp_url,
        "ENCRYPTION_KEY": OLD,
        **settings,
    }


def as_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


@pytest.fixture
async def own(new_place: NewPlace) -> Place:
    return await new_place()


@pytest.fixture
async def bare(postgres_server: PostgresServer, rabbitmq_server: RabbitServer) -> dict[str, str]:
    """Servers that nobody has migrated anything on; the roles are this test's own."""
    database = await postgres_server.create_database("bare")
    vhost = await rabbitmq_server.create_vhost("bare")
    return {
        "CRM_ENV": "test",
        "DATABASE_URL": as_user(database, f"crm_{uuid4().hex}", "first"),
        "DATABASE_ADMIN_URL": database,
        "RABBITMQ_URL": as_user(vhost, "crm_webhooks", "first"),
        "RABBITMQ_ADMIN_URL": rabbitmq_server.administration,
        "ENCRYPTION_KEY": OLD,
    }


async def examine(settings: dict[str, str]) -> Said:
    """What the doctor finds, apart from processes."""
    return await crm("webhooks", "doctor", "--no-process", **settings)


class TestDoctor:
    async def test_leads_from_bare_servers_to_sound_ones(
        self, bare: dict[str, str], temporal_server: TemporalServer
    ) -> None:
        settings = {**bare, "TEMPORAL_ADDRESS": temporal_server.url}
        said = await examine(settings)
        assert said.code == 1
        assert "postgresql: " in said.out
        assert "does not let the runtime role in" in said.out
        assert "rabbitmq: " in said.out
        assert "does not let crm_webhooks in" in said.out
        assert said.out.count("crm-webhooks migrate") == 2
        assert "ok    temporal" in said.out
        assert "first" not in said.out

        assert (await crm("webhooks", "migrate", **settings)).code == 0
        said = await examine(settings)
        assert said.out.splitlines() == ["ok    postgresql", "ok    rabbitmq", "ok    temporal"]
        assert said.code == 0

        said = await examine({**settings, "TEMPORAL_NAMESPACE": "nobodys"})
        assert "temporal operator namespace create nobodys" in said.out
        assert said.code == 1

    async def test_names_servers_that_are_away(self, bare: dict[str, str]) -> None:
        away = {
            "DATABASE_URL": "postgresql://a:secret@127.0.0.1:1/x",
            "RABBITMQ_URL": "amqp://a:secret@127.0.0.1:1/",
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
        }
        said = await examine({**bare, **away})
        ills = [line for line in said.out.splitlines() if line.startswith("ILL")]
        assert len(ills) == 3
        assert all("127.0.0.1:1 does not" in ill for ill in ills)
        assert said.out.count("      -> ") == 3
        assert "secret" not in said.out + said.err

    async def test_tells_of_a_process_that_is_not_there(self, own: Place) -> None:
        said = await crm("webhooks", "doctor", **environment(own, SERVER_PORT="1"))
        assert said.code == 1
        assert "nobody answers at http://127.0.0.1:1/health/ready" in said.out

    async def test_tells_of_letters_and_parked_events_and_how_they_go_on(
        self, own: Place, receiver: WebhookReceiver
    ) -> None:
        settings = environment(own)
        async with own.running(encryption_key=OLD), own.asking() as tenants:
            tenant = tenants()
            endpoint = await tenant.endpoint(receiver.url)
            await tenant.outside.publish_body(b"{}", event_type="contact.created")
            await tenant.outside.buried(CONTACT_WEBHOOK.dead_letters, 1)
        async with own.database.connected() as database, database.tenant(tenant.id) as tx:
            await tx.execute(
                "INSERT INTO outbox_events (event_id, event_type, aggregate_id, aggregate_type,"
                " event_version, payload, tenant_id, occurred_at, failed_at, error_message)"
                " VALUES ($1, 'x.y', $1, 'x', '1', '{}', $2, now(), now(), 'nobody takes it')",
                uuid4(),
                tenant.id,
            )
        assert endpoint
        said = await examine(settings)
        assert "1 dead letters of contact.events.webhook" in said.out
        assert "1 events are parked" in said.out

        (parked,) = (await crm("webhooks", "outbox", "list", **settings)).documents
        assert (parked["reason"], parked["tenant_id"]) == ("nobody takes it", tenant.id)
        other = await crm("webhooks", "outbox", "list", "--tenant", "other", **settings)
        assert other.documents == []
        assert (await crm("webhooks", "outbox", "redrive", **settings)).documents == [1]
        assert (await crm("webhooks", "outbox", "list", **settings)).documents == []
        (waits,) = (await crm("webhooks", "outbox", "list", "--waiting", **settings)).documents
        assert waits["event_id"] == parked["event_id"]

        queue = CONTACT_WEBHOOK.name
        (letter,) = (await crm("webhooks", "dlq", "list", queue, **settings)).documents
        (dropped,) = (
            await crm("webhooks", "dlq", "drop", queue, "--id", letter["message_id"], **settings)
        ).documents
        assert dropped["body"] == "{}"
        assert (await crm("webhooks", "dlq", "show", queue, **settings)).documents == []


class TestConfiguration:
    async def test_is_shown_without_a_secret(self, own: Place) -> None:
        said = await crm(
            "webhooks",
            "config",
            "check",
            **environment(own, OTEL_EXPORTER_OTLP_ENDPOINT="http://u:pw@c"),
        )
        assert said.code == 0
        lines = dict(line.split("=", 1) for line in said.out.splitlines()[:-1])
        assert lines["ENCRYPTION_KEY"] == "<secret of 44 characters>"
        assert lines["BUS_PARTITIONS"] == "4  # default"
        assert lines["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://<login>@c"
        assert "only-for-tests" not in said.out
        assert OLD not in said.out

    async def test_tells_all_that_is_wrong_at_once(self) -> None:
        said = await crm("webhooks", "config", "check", REQUEST_SIGNING_KEY="a" * 40, DB_PORT="x")
        assert said.code == 1
        for name in ("ENCRYPTION_KEY", "REQUEST_SIGNING_KEY", "DB_PORT", "database", "RabbitMQ"):
            assert any(
                name in line for line in said.out.splitlines() if line.startswith("PROBLEM: ")
            ), name


class Traffic:
    """Events of some companies, one after the other, for as long as it is open."""

    def __init__(self, tenants: list[Tenant]) -> None:
        self.told: list[str] = []
        self._tenants = tenants
        self._open = asyncio.Event()

    async def __aenter__(self) -> "Traffic":
        self._task = asyncio.create_task(self._tell())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open.set()
        await self._task

    async def _tell(self) -> None:
        while not self._open.is_set():
            for tenant in self._tenants:
                self.told.append(await tenant.publish_contact_created())

    async def more(self, count: int = 20) -> None:
        """Wait until so many more were told."""
        enough = len(self.told) + count

        async def told() -> bool:
            return len(self.told) >= enough

        await eventually(told)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver


class TestKeys:
    async def test_new_ones_are_strong_and_never_the_same(self) -> None:
        drawn = [(await crm("contacts", "keys", "new")).out.strip() for _ in range(2)]
        assert len(set(drawn)) == 2
        assert all(len(secret) == 64 for secret in drawn)
        fernet = (await crm("contacts", "keys", "new", "--fernet")).out.strip()
        Seal(SecretStr(fernet)).seal(b"it is a key")

    async def test_turn_while_deliveries_go_on(self, own: Place, receiver: WebhookReceiver) -> None:
        async with AsyncExitStack() as last:
            before = await last.enter_async_context(AsyncExitStack())
            await before.enter_async_context(own.running(encryption_key=OLD))
            tenants = await last.enter_async_context(own.asking())
            companies = [tenants() for _ in range(3)]
            for company in companies:
                endpoint = await company.endpoint(
                    receiver.url_for(company.id), headers={"X-Team": company.id}
                )
                receiver.trust(endpoint["secret"])
            async with Traffic(companies) as traffic:
                for keys in (f"{OLD},{NEW}", f"{NEW},{OLD}"):
                    after = AsyncExitStack()
                    await after.enter_async_context(own.running(encryption_key=keys))
                    await traffic.more()
                    await before.aclose()
                    before = after
                settings = environment(own, ENCRYPTION_KEY=f"{NEW},{OLD}")
                said = await crm("webhooks", "keys", "check", **settings)
                assert said.code == 1
                assert [found["older"] for found in said.documents] == [3, 3]
                said = await crm("webhooks", "keys", "rotate", **settings)
                assert (said.code, [found["rotated"] for found in said.documents]) == (0, [3, 3])
                settings["ENCRYPTION_KEY"] = NEW
                said = await crm("webhooks", "keys", "check", **settings)
                assert (said.code, [found["current"] for found in said.documents]) == (0, [3, 3])
                await last.enter_async_context(own.running(encryption_key=NEW))
                await traffic.more()
                await before.aclose()
                await traffic.more()

            async def all_came() -> bool:
                return {r.id for r in receiver.requests} >= set(traffic.told)

            await eventually(all_came)
            assert all(r.signature_valid for r in receiver.requests)
            assert all(r.headers["X-Team"] == r.path.strip("/") for r in receiver.requests)

    async def test_leave_what_none_of_them_opens_and_say_so(
        self, own: Place, receiver: WebhookReceiver
    ) -> None:
        async with own.running(encryption_key=STRANGE), own.asking() as tenants:
            lost = await tenants().endpoint(receiver.url)
        async with own.running(encryption_key=OLD), own.asking() as tenants:
            await tenants().endpoint(receiver.url)
        said = await crm(
            "webhooks", "keys", "rotate", **environment(own, ENCRYPTION_KEY=f"{NEW},{OLD}")
        )
        assert said.code == 1
        secrets, headers = said.documents
        assert (secrets["rotated"], len(secrets["left"])) == (1, 1)
        assert headers["left"] == [lost["id"]]


class TestPasswords:
    async def test_turn_while_deliveries_go_on(
        self, bare: dict[str, str], rabbitmq_server: RabbitServer, receiver: WebhookReceiver
    ) -> None:
        """What is connected stays connected; only the new ones let the next process in."""
        admin = bare["DATABASE_ADMIN_URL"]
        passwords = {"DATABASE_URL", "RABBITMQ_URL"}
        turned = {n: v.replace(":first@", ":second@") for n, v in bare.items() if n in passwords}

        def place(database_url: str, amqp_url: str) -> Place:
            return Place(MigratedDatabase(admin, database_url, WEBHOOKS.schema), amqp_url)

        vhost = urlsplit(bare["RABBITMQ_URL"]).path
        neighbours = f"{rabbitmq_server.url.rstrip('/')}{vhost}"
        others = place(admin, neighbours)

        def process(settings: dict[str, str]) -> AbstractAsyncContextManager[Service]:
            own = place(settings["DATABASE_URL"], settings["RABBITMQ_URL"])
            return running(create_service(own.settings(encryption_key=OLD)), neighbours)

        assert (await crm("webhooks", "migrate", **bare)).code == 0
        async with AsyncExitStack() as last:
            before = await last.enter_async_context(AsyncExitStack())
            await before.enter_async_context(process(bare))
            tenants = await last.enter_async_context(others.asking())
            companies = [tenants() for _ in range(3)]
            for company in companies:
                endpoint = await company.endpoint(receiver.url_for(company.id))
                receiver.trust(endpoint["secret"])

            async def all_came() -> bool:
                return {r.id for r in receiver.requests} >= set(traffic.told)

            async with Traffic(companies) as traffic:
                await traffic.more()
                said = await crm("webhooks", "keys", "rotate", "--passwords", **{**bare, **turned})
                assert (said.code, [found["what"] for found in said.documents]) == (
                    0,
                    ["password of the database", "password of the broker"],
                )
                assert ("first" in said.out, "second" in said.out) == (False, False)
                known = set(traffic.told)
                await traffic.more()

                async def goes_on() -> bool:
                    return bool({r.id for r in receiver.requests} & (set(traffic.told) - known))

                await eventually(goes_on)
                assert (await examine(bare)).out.count("ILL") == 2
                await last.enter_async_context(process(turned))
                await before.aclose()
                await traffic.more()
            await eventually(all_came)
            assert all(r.signature_valid for r in receiver.requests)
