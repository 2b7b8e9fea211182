"""A real gateway on a real database and broker, and services that answer from memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from crm_gateway import admission
from crm_gateway.app import create_service
from crm_gateway.settings import GatewaySettings
from crm_testing.documented import Documented
from crm_testing.schemas import Databases
from crm_testing.servers import PostgresServer, RabbitServer, running_rabbitmq
from crm_testing.services import SIGNATURES, answering, running
from pydantic import BaseModel, SecretStr
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import ConflictError, NotFoundError, PreconditionFailedError
from service_kit.request_server import RequestServer
from service_kit.service import Service
from shared_events.contacts.contact import (
    Contact,
    CreateContact,
    DeleteContact,
    GetContact,
    GetContacts,
    ListContacts,
    PatchContact,
)
from shared_events.contacts.contact_list import ContactList, GetContactList
from shared_events.contacts.pipeline import DeleteStatus
from shared_events.requests import Nothing, Page
from shared_events.services import CONTACTS, GATEWAY

from services.gateway.tests.integration.waha_session import WahaSession

MakeDatabase = Callable[[], Awaitable[str]]
_LAST_GROUPS = count(1)
_OPENAPI = Path(__file__).parents[4] / "docs" / "openapi.json"
_DOCUMENTED = Documented(json.loads(_OPENAPI.read_text()))
RunGateway = Callable[..., AbstractAsyncContextManager[Service]]


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 60) -> None:
    """Wait for a condition; TimeoutError when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what we wait for is elsewhere
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module", autouse=True)
def never_late() -> Iterator[None]:
    """Callers, gateway and services share one loop here, and one address asks for hundreds at once:
    that the loop is late says nothing of the gateway. What is refused then is
    `unit/test_admission.py`'s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "IN_HAND_LATE", admission.IN_HAND)
        yield


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Databases:
    return Databases(postgres_server, GATEWAY)


@pytest.fixture(scope="session")
def make_database(databases: Databases) -> MakeDatabase:
    """Make a migrated database; returns its URL as the runtime role.

    Gateways on different brokers need one each: whoever drains the spool drains all of it.
    """

    async def make() -> str:
        return (await databases.create()).url

    return make


@pytest.fixture(scope="session")
async def database_url(make_database: MakeDatabase) -> str:
    """The database most tests share."""
    return await make_database()


@pytest.fixture(scope="session")
async def run_gateway(
    database_url: str, make_settings: Callable[..., GatewaySettings]
) -> RunGateway:
    """Run a gateway against a broker: `async with run_gateway(amqp_url) as service`."""

    @asynccontextmanager
    async def run(amqp_url: str, **overrides: Any) -> AsyncIterator[Service]:
        service = create_service(
            make_settings(
                **{
                    "database_url": SecretStr(database_url),
                    "rabbitmq_url": SecretStr(amqp_url),
                    **overrides,
                }
            )
        )

        async with running(service):
            yield service

    return run


@pytest.fixture(scope="session")
async def gateway(rabbitmq_server: RabbitServer, run_gateway: RunGateway) -> AsyncIterator[Service]:
    """The gateway most tests share."""
    async with run_gateway(await rabbitmq_server.create_vhost("gateway")) as service:
        yield service


@pytest.fixture(scope="session")
async def mortal_server() -> AsyncIterator[RabbitServer]:
    """A broker for outages alone, so that no other test loses its own."""
    async with running_rabbitmq() as server:
        yield server


@pytest.fixture
async def rabbitmq_outage(mortal_server: RabbitServer) -> RabbitServer:
    """A broker that the test may stop; it is there again for the next."""
    await mortal_server.be_there()
    return mortal_server


@pytest.fixture
async def lone_gateway(
    rabbitmq_outage: RabbitServer, run_gateway: RunGateway, make_database: MakeDatabase
) -> AsyncIterator[Service]:
    """A gateway with nobody else in its database, on the broker that may be stopped."""
    vhost = await rabbitmq_outage.create_vhost("gateway")
    async with run_gateway(vhost, database_url=SecretStr(await make_database())) as service:
        yield service


@pytest.fixture
async def lone_client(lone_gateway: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that gateway."""
    async with http_client(lone_gateway) as client:
        yield client


async def documented(answer: httpx.Response) -> None:
    """Fail for a status or header that docs/openapi.json does not tell of."""
    asked = answer.request
    surprises = _DOCUMENTED.surprises(
        asked.method, asked.url.path, answer.status_code, answer.headers
    )
    assert not surprises, surprises


def http_client(service: Service) -> httpx.AsyncClient:
    """A client of this gateway, without a socket in between, from an address of its own.

    Its failed logins lock nobody else out. Each answer must be one that callers were told of.
    """
    address = f"2001:db8:0:{next(_LAST_GROUPS):x}::1"
    return httpx.AsyncClient(
        event_hooks={"response": [documented]},
        transport=httpx.ASGITransport(service.app, client=(address, 4711)),
        base_url="http://gateway/api/v1",
    )


@pytest.fixture
def waha(gateway: Service, client: httpx.AsyncClient) -> WahaSession:
    """WAHA with a channel of the shared gateway."""
    return WahaSession(gateway, client)


@pytest.fixture(scope="session")
async def client(gateway: Service, contacts: "Contacts") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the shared gateway, with contacts answering behind it."""
    del contacts
    async with http_client(gateway) as client:

        async def answers() -> bool:
            account = await register(client)
            return (await client.get("/contacts", headers=account.bearer)).status_code == 200

        await until(answers)
        yield client


@dataclass(frozen=True)
class Account:
    """A registered company and its admin's tokens."""

    email: str
    password: str
    body: dict[str, Any]

    @property
    def tenant_id(self) -> str:
        return str(self.body["tenant"]["id"])

    @property
    def user_id(self) -> str:
        return str(self.body["user"]["id"])

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.body['access_token']}"}


async def register(client: httpx.AsyncClient, **overrides: Any) -> Account:
    """Open an account with an e-mail of its own."""
    body = {
        "name": "Ana",
        "email": f"ana-{uuid4().hex}@example.com",
        "password": "correct horse",
        "organization": "Loja Exemplo",
        **overrides,
    }
    response = await client.post("/auth/register", json=body)
    assert response.status_code == 201, response.text
    return Account(body["email"], body["password"], response.json())


@pytest.fixture
async def account(client: httpx.AsyncClient) -> Account:
    """A company of the test's own."""
    return await register(client)


@dataclass
class Contacts:
    """Stands in for the contacts service: the kit's own server, with a dictionary behind it."""

    rows: dict[tuple[str, UUID], Contact] = field(default_factory=dict)
    calls: list[tuple[BaseModel, Call]] = field(default_factory=list)
    merged: dict[UUID, UUID] = field(default_factory=dict)
    lists: set[tuple[str, UUID]] = field(default_factory=set)
    fails: bool = False

    def _known(self, tx: Transaction, contact_id: UUID) -> Contact:
        if winner := self.merged.get(contact_id):
            raise ConflictError("contact_merged", "It is another.", merged_into=str(winner))
        contact = self.rows.get((tx.tenant_id, contact_id))
        if contact is None:
            raise NotFoundError("contact")
        return contact

    async def create(self, tx: Transaction, request: CreateContact, call: Call) -> Contact:
        self.calls.append((request, call))
        for (tenant_id, existing_id), contact in self.rows.items():
            if tenant_id == tx.tenant_id and request.phone and contact.phone == request.phone:
                raise ConflictError("contact_exists", "Known phone.", existing_id=str(existing_id))
        now = datetime.now(UTC)
        contact = Contact(
            id=uuid4(),
            **request.model_dump(),
            source="rest",
            version=1,
            created_at=now,
            updated_at=now,
        )
        self.rows[tx.tenant_id, contact.id] = contact
        return contact

    async def get(self, tx: Transaction, request: GetContact, call: Call) -> Contact:
        self.calls.append((request, call))
        if self.fails:
            raise RuntimeError("a secret of the inside")
        return self._known(tx, request.contact_id)

    async def get_many(self, tx: Transaction, request: GetContacts, call: Call) -> Page[Contact]:
        self.calls.append((request, call))
        known = (self.rows.get((tx.tenant_id, each)) for each in request.ids)
        return Page(data=[contact for contact in known if contact is not None])

    async def patch(self, tx: Transaction, request: PatchContact, call: Call) -> Contact:
        self.calls.append((request, call))
        contact = self._known(tx, request.contact_id)
        PreconditionFailedError.check(call.expected_version, contact.version)
        changes = request.model_dump(exclude={"contact_id"}, exclude_unset=True)
        changed = contact.model_copy(update={**changes, "version": contact.version + 1})
        self.rows[tx.tenant_id, contact.id] = changed
        return changed

    async def delete(self, tx: Transaction, request: DeleteContact, call: Call) -> Nothing:
        self.calls.append((request, call))
        contact = self._known(tx, request.contact_id)
        del self.rows[tx.tenant_id, contact.id]
        return Nothing()

    async def get_list(self, tx: Transaction, request: GetContactList, call: Call) -> ContactList:
        self.calls.append((request, call))
        if (tx.tenant_id, request.list_id) not in self.lists:
            raise NotFoundError("contact_list")
        return ContactList(
            id=request.list_id,
            name="vip",
            kind="static",
            version=1,
            created_at=datetime.now(UTC),
            updated_at=datetime.now(UTC),
        )

    async def delete_status(self, tx: Transaction, request: DeleteStatus, call: Call) -> Nothing:
        del tx
        self.calls.append((request, call))
        return Nothing()

    async def list(self, tx: Transaction, request: ListContacts, call: Call) -> Page[Contact]:
        self.calls.append((request, call))
        mine = [contact for (tenant, _), contact in self.rows.items() if tenant == tx.tenant_id]
        begin = int(request.cursor or request.offset)
        end = begin + request.limit
        further = str(end) if end < len(mine) else None
        return Page(data=mine[begin:end], has_more=further is not None, next_cursor=further)

    def server(self, database: Database) -> RequestServer:
        """The server that answers for this stand-in."""
        server = RequestServer(CONTACTS, database, SIGNATURES)
        server.answer(CreateContact, self.create)
        server.answer(GetContact, self.get)
        server.answer(GetContacts, self.get_many)
        server.answer(PatchContact, self.patch)
        server.answer(DeleteContact, self.delete)
        server.answer(DeleteStatus, self.delete_status)
        server.answer(GetContactList, self.get_list)
        server.answer(ListContacts, self.list)
        return server


@pytest.fixture(scope="session")
async def contacts(gateway: Service) -> AsyncIterator[Contacts]:
    """The contacts service, answering on the shared gateway's broker."""
    contacts = Contacts()
    async with answering(contacts.server(gateway.database), gateway.settings.amqp_url):
        yield contacts


async def own_only(client: httpx.AsyncClient, contacts: Contacts, who: dict[str, str]) -> bool:
    """Whether services are told that this caller sees only their own."""
    before = len(contacts.calls)
    assert (await client.get("/contacts", headers=who)).status_code == 200
    return contacts.calls[before][1].principal.own_only
